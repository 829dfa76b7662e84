export { ATOMIC_EVENTS_MAX, cleanFifodir, makeFifodir, notify } from "./notify/fifodir.ts";
export type { Fifodir, MakeOptions, Notified } from "./notify/fifodir.ts";
export { FtrigServer } from "./notify/ftrig-server.ts";
export { listen } from "./notify/listening.ts";
export { WAIT_TIMEOUT } from "./notify/options.ts";
export { printEvents } from "./notify/print-events.ts";
export { Subscription } from "./notify/subscription.ts";
export type { SubscriptionEvents, Wanted } from "./notify/subscription.ts";
export { splitWantedBlock } from "./notify/wanted-block.ts";
