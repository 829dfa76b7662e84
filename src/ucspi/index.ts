export { formatEndpoint, parseEndpoint, parseListenOperands } from "./endpoint.ts";
export { extraListenersEdit } from "./extra-listeners.ts";
export { formatRefusal } from "./log.ts";
export type { Refusal, RefusalFormat } from "./log.ts";
export { recordRefusal, serveTcp, tcpPreview } from "./serve.ts";
export type { ServeOptions } from "./serve.ts";
