export { askIdent, IDENT_PORT } from "./client.ts";
export type { IdentOutcome, IdentQuestion } from "./client.ts";
export type { IdentErrorCode, IdentReply, PortPair } from "./reply.ts";
