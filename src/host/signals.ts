/**
 * The signals of a process, for all who live in it. Each signal is taken from the process once, and only
 * as long as somebody wants it: otherwise it keeps doing what it does by default.
 */

/** Signals of this process, for those who want to hear of them. */
export interface Signals {
  /** Call `handler` for each of these signals from now on, until the returned function is called. */
  on(names: readonly NodeJS.Signals[], handler: (name: NodeJS.Signals) => void): () => void;
}

type Handler = (name: NodeJS.Signals) => void;

interface Heard {
  readonly handlers: Set<{ readonly handler: Handler }>;
  readonly stop: () => void;
}

/** Deals the signals of `source` out to any number of handlers. */
export class SharedSignals implements Signals {
  readonly #source: Signals;
  readonly #heard = new Map<NodeJS.Signals, Heard>();

  constructor(source: Signals) {
    this.#source = source;
  }

  on(names: readonly NodeJS.Signals[], handler: Handler): () => void {
    const entry = { handler };
    for (const name of names) this.#hear(name).handlers.add(entry);
    return () => {
      for (const name of names) this.#forget(name, entry);
    };
  }

  #hear(name: NodeJS.Signals): Heard {
    const known = this.#heard.get(name);
    if (known !== undefined) return known;
    const handlers: Heard["handlers"] = new Set();
    const stop = this.#source.on([name], () => {
      for (const entry of [...handlers]) if (handlers.has(entry)) entry.handler(name);
    });
    const heard = { handlers, stop };
    this.#heard.set(name, heard);
    return heard;
  }

  #forget(name: NodeJS.Signals, entry: { readonly handler: Handler }): void {
    const heard = this.#heard.get(name);
    if (heard === undefined || !heard.handlers.delete(entry) || heard.handlers.size > 0) return;
    heard.stop();
    this.#heard.delete(name);
  }
}
