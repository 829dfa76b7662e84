export { BIRTH_MS_MAX, Children } from "./children.ts";
export type { ChildEnd, ChildEvents, ChildrenOptions } from "./children.ts";
export { OrphanReaper } from "./orphans.ts";
export type { OrphanReaperOptions } from "./orphans.ts";
