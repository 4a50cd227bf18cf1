// What may be believed without believing us: the contract, who holds keys, the root to keep, and what was spent.
import { lab } from "../data.js";
import { Copy, Facts, Notice, Table, html } from "../elements.js";
import { brief, counted, moment, percent, short } from "../format.js";

const UNITS = { training_flops: "FLOPs", memory_bytes: "B", disk_bytes: "B", wall_s: "s", schedule_s: "s", person_s: "s", propose_s: "s", train_s: "s", verify_s: "s", limit_s: "s" };
const SECTIONS = ["budget", "month", "criteria", "promotion", "cooldown", "karma", "deadlines", "kaggle"];

/** The ledger and the contract. */
export function Ledger() {
  const { summary, contract } = lab.value;
  const { ledger, states, keys, totals, month_flops: months } = summary;
  return html`
    <h2>The ledger</h2>
    <p>${counted(ledger.entries, "entry", "entries")}, the newest of ${moment(ledger.newest)} UTC. Each names the digests of those it follows, so that none can be changed unnoticed.
      Keep this root somewhere else: with it, a rewritten history is found out by <code>python -m aams verify --against FILE</code>; <code>python -m aams checkpoint</code> prints the whole of FILE.</p>
    <${Copy} text=${ledger.root} label="Copy the root" />
    <h2>How often the arbiter was fooled</h2>
    <p class="hint">Placebos are children that are the champion in disguise. Nobody who proposes or trains is told which they are.</p>
    <${Table} caption="Placebos" rows=${Object.entries(states)} columns=${[
      { title: "domain", value: ([name]) => name },
      { title: "revealed", kind: "number", value: ([, one]) => one.placebos.revealed },
      { title: "accepted", kind: "number", value: ([, one]) => one.placebos.promoted },
      { title: "rate, 95 % interval", kind: "number", value: ([, one]) => (one.placebos.revealed ? `${percent(one.placebos.low)} to ${percent(one.placebos.high)}` : "not measured yet") },
      { title: "attempts of the line", kind: "number", value: ([, one]) => one.attempts },
      { title: "error budget spent", kind: "number", value: ([, one]) => brief(one.alpha_spent) },
    ]} />
    <h2>Who holds keys</h2>
    <${Table} caption="Keys" rows=${keys} columns=${[
      { title: "whose", value: (one) => one.principal },
      { title: "role", value: (one) => (one.role === "propose" ? "first key, proposes" : "second key, approves") },
      { title: "fingerprint", value: (one) => html`<code>${one.fingerprint}</code>` },
      { title: "cycles", kind: "number", value: (one) => one.cycles },
      { title: "last", kind: "time", value: (one) => moment(one.last) },
    ]} />
    <h2>What was spent</h2>
    <div class="cards">${Object.entries(totals).map(([name, one]) => html`<article class="card"><h3>${name}</h3><${Facts} of=${[
      ["cycles", one.cycles], ["children", one.children], ["attempts", one.attempts], ["accepted", one.accepted],
      ["training compute", short(one.used_flops, "FLOPs")], ["CPU time", `${brief(one.cpu_s)} s`]]} /></article>`)}
      ${Object.keys(months).length > 0 && html`<article class="card"><h3>by month</h3><${Facts} of=${Object.entries(months).reverse().map(([month, flops]) => [month, short(flops, "FLOPs")])} /></article>`}</div>
    <h2>The contract</h2>
    ${contract ? html`<${Contract} contract=${contract} />` : html`<${Notice} title="contract.json is missing.">Run <code>make docs</code>; the contract itself is safety/contract.yaml.<//>`}`;
}

function Contract({ contract }) {
  const limits = SECTIONS.flatMap((section) => Object.entries(contract[section]).map(([name, value]) => ({ section, name, value })));
  return html`<p>Only people change it. Its digest is in every manifest and every entry: <code>${contract.digest}</code></p>
    <${Table} caption="Limits" rows=${limits} columns=${[
      { title: "section", value: (one) => one.section },
      { title: "limit", value: (one) => one.name.replaceAll("_", " ") },
      { title: "value", kind: "number", value: (one) => (typeof one.value === "number" ? (one.value >= 1e6 ? short(one.value, UNITS[one.name]) : `${one.value.toLocaleString("en")}${UNITS[one.name] ? ` ${UNITS[one.name]}` : ""}`) : one.value || "–") },
    ]} />
    <${Facts} of=${[["autonomy", contract.autonomy], ["confinement", contract.confinement.join(", ")], ["who may approve at GitHub", (contract.approvers ?? []).map((one) => one.login ?? one).join(", ") || "nobody yet"]]} />
    <h3 class="sub">Laws</h3>
    <ol>${contract.laws.map((law) => html`<li><strong>${law.name}</strong>: ${law.says}</li>`)}</ol>
    <h3 class="sub">Gates</h3>
    <${Table} caption="Gates" rows=${contract.gates} columns=${[
      { title: "gate", value: (one) => html`<code>${one.id}</code>` },
      { title: "protects", kind: "words", value: (one) => one.protects },
      { title: "if it refuses", kind: "words", value: (one) => one.remedy },
    ]} />`;
}
