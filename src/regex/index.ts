export { PosixRegex, RegexScan } from "./regex.ts";
export { RegexError } from "./syntax.ts";
