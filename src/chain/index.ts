export { become } from "./become.ts";
export { Chains } from "./chains.ts";
export type { ChainResult, ChainsOptions, LinkFinder, Stage } from "./chains.ts";
export { Environment } from "./environment.ts";
export { execFailureCode, EXIT, exitCodeOf } from "./exit.ts";
export { APPLYUIDGID_OPTIONS, identityOption } from "./identity-options.ts";
export type { IdentityChange, IdentityStep } from "./identity-options.ts";
export { initialLaunch, originOf } from "./inherit.ts";
export type { Origin } from "./inherit.ts";
export { parseOomScore, withOwnSettings } from "./own-settings.ts";
export type { OomScore } from "./own-settings.ts";
export {
  abandon,
  descriptorAt,
  withCompanion,
  withDescriptors,
  withEnvironment,
  withIdentity,
  withLimits,
} from "./launch.ts";
export type { Claim, Companion, Launch, ServedConnection, Source } from "./launch.ts";
export { defineLink, end, goOn, linkSynopsis, parseLink, reachOf } from "./link.ts";
export type { Link, LinkContext, LinkWords, Outcome, Reach } from "./link.ts";
export { closeEach, withOpened } from "./opened.ts";
export { isOwnDescriptor } from "./own-descriptors.ts";
export { candidateFiles } from "./search.ts";
export { Spawner } from "./spawn.ts";
export type { Ended, NotSpawned, Fate, Prepared, Spawned, SpawnResult } from "./spawn.ts";
export { isUsageError, reportUsage } from "./usage.ts";
