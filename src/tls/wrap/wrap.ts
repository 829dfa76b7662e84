/** The action of the links that wrap a program in TLS: in a server, or in this very process. */

import { goOn, withEnvironment } from "../../chain/index.ts";
import type { Link, LinkContext, LinkWords } from "../../chain/index.ts";
import type { OptionsOf, OptionTable } from "../../options/index.ts";
import { offerByChild, secureByChild } from "./by-child.ts";
import { offerByEngine, prepareEngine, secureByEngine } from "./by-engine.ts";
import type { TlsCommand } from "./tls-command.ts";
import { privateEdits } from "./variables.ts";

type MakeCommand<Table extends OptionTable> = (
  options: OptionsOf<Table>,
  context: LinkContext,
) => TlsCommand;

type Doing<Table extends OptionTable> = Pick<
  Link<Table>,
  "reach" | "describe" | "preview" | "prepare" | "run"
>;

/** TLS first, then the program. */
export function securing<Table extends OptionTable>(make: MakeCommand<Table>): Doing<Table> {
  const commandFor = remembered(make);
  return {
    ...common(commandFor),
    describe: () => ["waits for the handshake; the program gets two pipes in place of the network"],
    run(launch, words, context) {
      const command = commandFor(words, context);
      const secure = context.isBecoming ? secureByChild : secureByEngine;
      return secure(launch, words.program, command, context);
    },
  };
}

/** The program first, and TLS when it asks for it. */
export function offering<Table extends OptionTable>(make: MakeCommand<Table>): Doing<Table> {
  const commandFor = remembered(make);
  return {
    ...common(commandFor),
    describe: () => ["gives the program a socket to ask for TLS on, and pipes to use then"],
    run(launch, words, context) {
      const command = commandFor(words, context);
      const offer = context.isBecoming ? offerByChild : offerByEngine;
      return offer(launch, words.program, command, context);
    },
  };
}

type CommandFor<Table extends OptionTable> = (
  words: LinkWords<Table>,
  context: LinkContext,
) => TlsCommand;

function common<Table extends OptionTable>(
  commandFor: CommandFor<Table>,
): Pick<Doing<Table>, "reach" | "preview" | "prepare"> & { readonly reach: "identity" } {
  return {
    reach: "identity",
    preview(launch, words, context) {
      const edits = privateEdits(launch.environment, commandFor(words, context));
      return goOn({ ...withEnvironment(launch, edits), argv: words.program });
    },
    prepare: (launch, words, context) => prepareEngine(launch, commandFor(words, context), context),
  };
}

/** The command of a command line holds what was read for it, so there is one for all its connections. */
function remembered<Table extends OptionTable>(make: MakeCommand<Table>): CommandFor<Table> {
  const commands = new WeakMap<object, TlsCommand>();
  return (words, context) => {
    const known = commands.get(words);
    if (known !== undefined) return known;
    const command = make(words.options, context);
    commands.set(words, command);
    return command;
  };
}
