export { runSudo, SudoError } from "./client.ts";
export { SUDOC_OPTIONS } from "./options.ts";
export { serveSudo } from "./server.ts";
export type { SudoOffer } from "./server.ts";
