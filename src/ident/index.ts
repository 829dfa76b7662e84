export {
  formatIdentAnswer,
  isIdentUser,
  isOperatingSystem,
  OPERATING_SYSTEM_DEFAULT,
} from "./answer.ts";
export type { IdentAnswer, IdentErrorToken } from "./answer.ts";
export { askIdent, IDENT_PORT } from "./client.ts";
export type { IdentOutcome, IdentQuestion } from "./client.ts";
export { IDENT_SERVER_OPTIONS } from "./options.ts";
export type { IdentNamingOption } from "./options.ts";
export { ConnectionOwners } from "./owners.ts";
export type { ConnectionEntry } from "./connection-table.ts";
export { IDENT_QUERY_BYTES_MAX, parseIdentQuery, readIdentQuery } from "./query.ts";
export type { IdentQuery, QueryProgress } from "./query.ts";
export {
  formatIdentRequest,
  IDENT_REPLY_BYTES_MAX,
  IDENT_USER_BYTES_MAX,
  parseIdentReply,
  readIdentReply,
} from "./reply.ts";
export type { IdentBreach, IdentErrorCode, IdentReply, PortPair } from "./reply.ts";
export { IdentResponder, pseudonym } from "./responder.ts";
export type {
  IdentAsking,
  IdentNaming,
  IdentResponderOptions,
  IdentResponse,
} from "./responder.ts";
export { readSecret, SECRET_BYTES_MAX, SECRET_BYTES_MIN } from "./secret.ts";
export { IDENT_IDLE_MS, IDENT_QUERIES_MAX, serveIdent } from "./server.ts";
export type { IdentConversation, IdentEnd } from "./server.ts";
