export { dumpEdits, readDumpVariables } from "./dump-variables.ts";
export type { DumpVariable } from "./dump-variables.ts";
export { FdStore } from "./fd-store.ts";
export type { FdStoreOptions } from "./fd-store.ts";
export { HolderClient, neverFrom } from "./holder-client.ts";
export { connectToHolder } from "./holder-connection.ts";
export type { ConnectionParts } from "./holder-connection.ts";
export { HolderRulesError, openHolderRules } from "./holder-rules.ts";
export type { HolderAdmission, HolderRules } from "./holder-rules.ts";
export { HeldTable } from "./held-table.ts";
export type {
  HeldEntry,
  HeldTableLimits,
  HolderId,
  Holding,
  Moment,
  StoreRefusal,
} from "./held-table.ts";
export { holderIdOf, quoteHolderId, wordOfHolderId } from "./identifiers.ts";
export { FDHOLDER_DAEMON_OPTIONS, FDHOLDERD_OPTIONS } from "./options.ts";
export { serveHolder } from "./serve-holder.ts";
export type { HolderRights } from "./rights.ts";
export type { DumpEntry } from "./wire/requests.ts";
