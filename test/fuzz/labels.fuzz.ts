/** Very many labels as local time, against other people's filters: `npm run fuzz`. LABELS says how many. */

import { labelsConformance } from "../interop/clock-labels.ts";

labelsConformance(Number(process.env["LABELS"] ?? 1_000_000));
