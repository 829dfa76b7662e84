/** The offset on standard input, for s6-clockadd and s6-clockview. */

import { EXIT } from "../../../chain/index.ts";
import { Fatal } from "../../../command/index.ts";
import { SystemError } from "../../../posix/index.ts";
import type { Fd, Posix } from "../../../posix/index.ts";
import { OFFSET_RECORD_BYTES, parseOffset, readOffsetRecord } from "../../sync/index.ts";

/** Nanoseconds. Throws Fatal (111) where there is no complete record; what follows it is not read. */
export function readOffset(posix: Posix): bigint {
  const record = readRecord(posix);
  if (record.length < OFFSET_RECORD_BYTES) {
    const problem = `stdin ended after ${record.length} of ${OFFSET_RECORD_BYTES} bytes`;
    throw new Fatal(EXIT.system, `unable to read an offset: ${problem}`);
  }
  const offsetNs = parseOffset(record);
  if (offsetNs === undefined) {
    const hex = Buffer.from(record).toString("hex");
    throw new Fatal(
      EXIT.system,
      `stdin holds no offset: ${hex} has a second of nanoseconds or more`,
    );
  }
  return offsetNs;
}

function readRecord(posix: Posix): Uint8Array {
  try {
    return readOffsetRecord(posix, 0 as Fd);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new Fatal(EXIT.system, `unable to read from stdin: ${error.message}`, { cause: error });
  }
}
