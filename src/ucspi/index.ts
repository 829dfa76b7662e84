export { admit, BANNER_BYTES_MAX } from "./admission/admit.ts";
export type { Visit } from "./admission/admit.ts";
export { readClient } from "./admission/client.ts";
export { ACCESS_OPTIONS } from "./admission/options.ts";
export type { AccessOptions, RulesSource } from "./admission/options.ts";
export { formatEndpoint, parseEndpoint, parseListenOperands } from "./endpoint.ts";
export { extraListenersEdit } from "./extra-listeners.ts";
export { serveTcp, tcpPreview } from "./serve.ts";
export type { ServeOptions } from "./serve.ts";
