export {
  atLeastOne,
  descriptorAbove2,
  descriptorNumber,
  InvalidArgument,
  milliseconds,
  millisecondsOrForever,
  millisecondsOrZero,
  nonEmptyText,
  octalMode,
  oneOf,
  parsedBy,
  seconds,
  text,
  textThat,
  UINT32_MAX,
  unsigned,
} from "./argument.ts";
export type { ArgumentKind } from "./argument.ts";
export { GID_LIST_MAX, gidList, parseGidList } from "./gid-list.ts";
export { parseOptions, UsageError } from "./parse.ts";
export type { Builtin, OptionFamily, OptionGrammar, ParsedOptions } from "./parse.ts";
export {
  choice,
  defaultsOf,
  flag,
  fold,
  list,
  passedOn,
  pathOfKind,
  pick,
  undoneBy,
  value,
  withLongNames,
} from "./table.ts";
export type {
  OptionForm,
  OptionsOf,
  OptionSpec,
  OptionTable,
  OptionUse,
  PathOfKind,
} from "./table.ts";
export { formatForm, formatSynopsis } from "./usage.ts";
export { wordsOf } from "./words.ts";
