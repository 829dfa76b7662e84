/** What the links that wrap a program in TLS do with their plan: in a server, or in this very process. */

import { goOn, withEnvironment } from "../../chain/index.ts";
import type { Link, LinkContext, LinkWords } from "../../chain/index.ts";
import type { OptionsOf, OptionTable } from "../../options/index.ts";
import { offerByChild, secureByChild } from "./by-child.ts";
import { offerByEngine, prepareEngine, secureByEngine } from "./by-engine.ts";
import type { Plan } from "./plan.ts";
import { privateEdits } from "./variables.ts";

type MakePlan<Table extends OptionTable> = (
  options: OptionsOf<Table>,
  context: LinkContext,
) => Plan;

type Doing<Table extends OptionTable> = Pick<
  Link<Table>,
  "reach" | "describe" | "preview" | "prepare" | "run"
>;

/** TLS first, then the program. */
export function securing<Table extends OptionTable>(make: MakePlan<Table>): Doing<Table> {
  const planFor = remembered(make);
  return {
    ...common(planFor),
    describe: () => ["waits for the handshake; the program gets two pipes in place of the network"],
    run(launch, words, context) {
      const plan = planFor(words, context);
      const secure = context.isBecoming ? secureByChild : secureByEngine;
      return secure(launch, words.program, plan, context);
    },
  };
}

/** The program first, and TLS when it asks for it. */
export function offering<Table extends OptionTable>(make: MakePlan<Table>): Doing<Table> {
  const planFor = remembered(make);
  return {
    ...common(planFor),
    describe: () => ["gives the program a socket to ask for TLS on, and pipes to use then"],
    run(launch, words, context) {
      const plan = planFor(words, context);
      const offer = context.isBecoming ? offerByChild : offerByEngine;
      return offer(launch, words.program, plan, context);
    },
  };
}

type PlanFor<Table extends OptionTable> = (words: LinkWords<Table>, context: LinkContext) => Plan;

function common<Table extends OptionTable>(
  planFor: PlanFor<Table>,
): Pick<Doing<Table>, "reach" | "preview" | "prepare"> & { readonly reach: "identity" } {
  return {
    reach: "identity",
    preview(launch, words, context) {
      const edits = privateEdits(launch.environment, planFor(words, context));
      return goOn({ ...withEnvironment(launch, edits), argv: words.program });
    },
    prepare: (launch, words, context) => prepareEngine(launch, planFor(words, context), context),
  };
}

/** The plan of a command line holds what was read for it, so there is one for all its connections. */
function remembered<Table extends OptionTable>(make: MakePlan<Table>): PlanFor<Table> {
  const plans = new WeakMap<object, Plan>();
  return (words, context) => {
    const known = plans.get(words);
    if (known !== undefined) return known;
    const plan = make(words.options, context);
    plans.set(words, plan);
    return plan;
  };
}
