export { ByteSink, ByteSource } from "./byte-sink.ts";
export { filterLines, LINE_BYTES_KEPT } from "./line-filter.ts";
export type { FilterEnds, LineFilter } from "./line-filter.ts";
export { LocalizingFilter } from "./localize.ts";
export { StampingFilter } from "./stamp-lines.ts";
