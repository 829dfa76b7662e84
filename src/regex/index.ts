export { PosixRegex } from "./regex.ts";
export { RegexError } from "./syntax.ts";
