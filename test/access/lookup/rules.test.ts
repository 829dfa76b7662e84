import { CdbRules, CdbRuleSet, DirectoryRules } from "../../../src/access/index.ts";
import { rulesConformance } from "./rules-conformance.ts";
import { cdbBytes, NodeFiles, sampleFiles, sampleValue, TemporaryDirectory } from "../samples.ts";

import type { SampleRule } from "../samples.ts";

function compiled(rules: readonly SampleRule[]): Buffer {
  return cdbBytes(rules.map(({ key, text }) => [key, sampleValue(text)]));
}

rulesConformance("directory", (rules) => {
  const directory = new TemporaryDirectory();
  for (const rule of rules) directory.write(sampleFiles(rule));
  return {
    rules: new DirectoryRules(new NodeFiles(), directory.path),
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
});

rulesConformance("CDB file", (rules) => {
  const directory = new TemporaryDirectory();
  directory.write({ "rules.cdb": compiled(rules) });
  return {
    rules: new CdbRules(new NodeFiles(), directory.file("rules.cdb")),
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
});

rulesConformance("CDB in memory", (rules) => ({
  rules: new CdbRuleSet(compiled(rules)),
  [Symbol.dispose]: () => {},
}));
