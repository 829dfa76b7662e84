export { parseOptions, UsageError } from "./parse.ts";
export type { Builtin, OptionFamily, OptionGrammar, ParsedOptions } from "./parse.ts";
export { choice, flag, fold, InvalidArgument, list, optionWords, value } from "./table.ts";
export { withLongNames } from "./table.ts";
export type { OptionForm, OptionsOf, OptionSpec, OptionTable } from "./table.ts";
export { formatForm, formatSynopsis } from "./usage.ts";
export {
  descriptorAbove2,
  descriptorNumber,
  milliseconds,
  octalMode,
  oneOf,
  seconds,
  text,
  UINT32_MAX,
  unsigned,
} from "./values.ts";
