/** s6-ftrigrd: listens to fifodirs for the C suite's programs (supervision.md, section 3.7). */

import { randomBytes } from "node:crypto";
import { EXIT, exitCodeOf } from "../../chain/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import type { Fd } from "../../posix/index.ts";
import { FtrigServer } from "../index.ts";

const NAME = "s6-ftrigrd";
const NEWS_VARIABLE = "SKALIBS_CHILD_SPAWN_FDS";

export const ftrigrd = defineCommand({
  name: NAME,
  summary: "listen to fifodirs for a program of the C suite, which starts it",
  family: "none",
  options: {},
  operands: "",
  operandCount: [0, 0],
  async run({ posix, host, report, signals, environment }) {
    const text = environment.get(NEWS_VARIABLE);
    if (text === undefined) throw new Fatal(EXIT.usage, `${NEWS_VARIABLE} not set`);
    const news = Number(text);
    if (!/^[0-9]{1,9}$/.test(text) || !posix.isOpen(news)) {
      throw new Fatal(EXIT.usage, `invalid $${NEWS_VARIABLE}`);
    }
    const pipes = { requests: 0 as Fd, answers: 1 as Fd, news };
    const hosted = host.run((faces) => new FtrigServer(faces, { ...pipes, report, randomBytes }));
    const release = signals.on(["SIGHUP", "SIGINT", "SIGTERM"], () => hosted.stop("terminate"));
    const ended = await hosted.ended;
    release();
    return exitCodeOf(ended);
  },
});
