/** Some schedules each time; test/fuzz has the long run. */

import { test } from "vitest";
import { expectDelivery } from "./schedules.ts";

test("every byte is delivered, or the tunnel fails; nothing stays open", () => expectDelivery(60));
