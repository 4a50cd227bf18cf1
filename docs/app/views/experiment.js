// One experiment: what was tried and why, what came of it, what that rests on, and how to do it again.
import { artifact, folderOf, lab, row as rowAt, rowOf } from "../data.js";
import { Architecture } from "../architecture.js";
import { Diff } from "../diff.js";
import { Copy, Experiment, Facts, Loading, Notice, Outcome, Table, html, useAsked } from "../elements.js";
import { Curves, Growth, Pairs } from "../evidence.js";
import { between, brief, compared, counted, digest, moment, odds, percent, points, short } from "../format.js";
import { choose, href, route } from "../route.js";
import { words } from "../spec.js";

const FILES = ["EVAL.md", "MODEL_CARD.md", "spec.yaml", "model.py", "manifest.json", "metrics.json", "hashes.csv"];

/** @param {{id: string}} props the cycle */
export function ExperimentPage({ id }) {
  const { found, failed } = useAsked(() => gathered(id), [id]);
  if (failed) return html`<${Notice} title="This experiment can't be read.">${failed}. The rest of the page works; <code>aams log</code> has it too.<//>`;
  if (!found) return html`<${Loading} />`;
  if (!found.row) return html`<${Notice} title="There is no such experiment.">No cycle is called ${id}. <a href=${href("lineage")}>See those there are</a>.<//>`;
  return html`<${Shown} ...${found} />`;
}

/** The cycle's row, and the specs of the champion it was tried against and of the one there is now. */
async function gathered(id) {
  const row = await rowAt(id);
  if (!row) return { row };
  const champion = lab.value.summary.champions[row.domain];
  const ofGeneration = async (name) => (name ? rowOf(row.domain, name).then((one) => one && specOf(one, null)).catch(() => null) : null);
  const [parent, now] = await Promise.all([ofGeneration(row.parent), ofGeneration(champion?.generation)]);
  const own = row.directory ? await specOf(row, null).catch(() => null) : null;
  return { row, parent, champion: now, own };
}

/** Text, model and cost of one of a row's children, or of what it archived. */
async function specOf(row, child) {
  const one = child ?? row.children.find(({ spec }) => spec === row.best);
  if (one) return { name: row.generation, text: one.text, model: one.tree.model, cost: one.cost };
  const [text, config, metrics] = await Promise.all([artifact(row, "spec.yaml", "text"), artifact(row, "config.json"), artifact(row, "metrics.json")]);
  return { name: row.generation, text, model: config.tree.model, cost: metrics.cost };
}

function Shown({ row, parent, champion, own }) {
  const { params } = route.value;
  const best = row.children.findIndex(({ spec }) => spec === row.best);
  const at = params.child ? Number(params.child) - 1 : Math.max(0, best);
  const child = row.children[at];
  const spec = child ? { name: `child ${at + 1}`, text: child.text, model: child.tree.model, cost: child.cost } : own;
  const against = params.against === "champion" ? champion : parent;
  return html`
    <p class="lead"><strong>${row.generation ? `${row.domain}/${row.generation}` : row.cycle}</strong> <${Outcome} of=${row.outcome} /><br />
      <span class="soft">${sentence(row)}</span></p>
    ${row.placebo && html`<${Notice} title="A placebo.">What was trained and measured here is the champion in disguise, to see whether the arbiter can be fooled.
      What the cycle had proposed instead was never taken to the holdout.<//>`}
    <${Decision} row=${row} />
    ${row.look && row.pairs?.some((pair) => pair.control) && html`<h2>Evidence</h2><div class="pair"><${Pairs} row=${row} /><${Growth} row=${row} /></div>`}
    ${child && html`<h2>${row.placebo ? "What was proposed, and not measured" : "Hypothesis"}</h2><${Hypothesis} child=${child} row=${row} />`}
    ${row.children.length > 1 && html`<h2>Children of this cycle</h2><${Children} row=${row} at=${at} />`}
    ${spec && html`<h2>Spec</h2>
      ${against && html`<p class="hint">${counted(child?.mutations.length ?? 0, "change")} against
        ${" "}<button type="button" aria-pressed=${against === parent} onClick=${() => choose({ against: "" })}>its parent ${row.parent}</button>
        ${champion && parent && champion.name !== parent.name && html` <button type="button" aria-pressed=${against === champion} onClick=${() => choose({ against: "champion" })}>the champion ${champion.name}</button>`}</p>`}
      <div class="pair"><${Diff} before=${against?.text ?? ""} after=${spec.text} label="What differs in the spec" />
        <div class="scroll" tabindex="0" role="region" aria-label="The architecture">${spec.model && html`<${Architecture} model=${spec.model} before=${against?.model} label=${`The architecture of ${spec.name}${against ? `, compared with ${against.name}` : ""}`} />`}</div></div>
      <${Costs} spec=${spec} against=${against} />`}
    ${row.runs.length > 0 && html`<h2>Training</h2><${Training} row=${row} child=${child} />`}
    <h2>Do it again</h2><${Again} row=${row} />
    <h2>On record</h2><${Record} row=${row} />`;
}

function sentence(row) {
  const origin = row.rollback ? "A rollback" : row.parent ? `Tried against ${row.domain}/${row.parent}` : "The root of a lineage";
  return `${origin} on ${moment(row.time)} UTC, by ${row.planner} with seed ${row.seed}, asked for by ${row.trigger === "schedule" ? "the schedule" : "a person"}.`;
}

const WORDS = {
  evidence: "Evidence that it is better (e-value)",
  generalize: "Generalize, on the holdout",
  recall: "Recall, against the parent",
  recall_best: "Recall, against the best ever",
  recall_floor: "Recall, at all",
  tone_drift: "Drift of its tone from the parent",
  tone_drift_root: "Drift of its tone from the root",
  law_violations: "Laws broken while training",
};

/** The decision in plain words, and every criterion with its numbers. */
function Decision({ row }) {
  const { scores, control_scores: control, look } = row;
  const failed = (row.criteria ?? []).filter((one) => !one.passed).length;
  return html`<h2>${VERDICTS[row.outcome] ?? "How it stands"}</h2>
    ${row.reason && html`<ul class="reasons">${row.reason.split("; ").map((one) => html`<li>${one}</li>`)}</ul>`}
    ${look && html`<p>Over ${counted(look.pairs, "pair")} of trainings with fresh seeds it scored <strong>${points(look.gain)} points</strong> against its parent
      (95 % interval ${between(look.low, look.high)}). That is a cautious estimate, pulled towards 0 as the pairs are few: the scores are
      ${" "}${percent(scores?.generalize)} against ${percent(control?.generalize)}.
      The evidence came to ${odds(look.e_value)}; attempt ${look.attempt} of this lineage needed ${odds(1 / look.level)}.</p>`}
    ${!row.generation && row.control_validation !== undefined && html`<p>The best child was to beat its parent, retrained beside it (${percent(row.control_validation)} on validation), by
      ${" "}${points(row.screen_margin).slice(1)} points. Only then it is taken to the holdout.</p>`}
    ${row.criteria?.length > 0 && html`<p class="hint">${failed ? `${failed} of ${row.criteria.length} criteria failed; all must hold.` : `All ${row.criteria.length} criteria hold.`}</p>
      <${Table} caption="Criteria of the contract" rows=${row.criteria} columns=${[
        { title: "criterion", value: (one) => WORDS[one.name] ?? one.name },
        { title: "measured", kind: "number", value: (one) => compared(one.value) },
        { title: "must be", kind: "number", value: (one) => `${one.comparison === ">=" ? "at least" : "at most"} ${compared(one.bound)}` },
        { title: "", value: (one) => html`<span class=${one.passed ? "yes" : "no"}>${one.passed ? "✓ holds" : "✗ fails"}</span>` },
      ]} />`}`;
}

const VERDICTS = {
  accepted: "Why it was accepted", rejected: "Why it was rejected", "screened-out": "Why it went no further", explored: "Why it went no further",
  waiting: "It waits for a person", open: "It is under way", placebo: "How the placebo fared", declined: "Why it was declined",
};

function Hypothesis({ child, row }) {
  return html`<p>${child.rationale}. Predicted effect: ${points(child.predicted_effect)} points${row.look && row.best === child.spec ? `; measured: ${points(row.look.gain)}` : ""}.</p>
    <${Table} caption="Mutations" rows=${child.mutations} columns=${[
      { title: "operator", value: (one) => html`<a href=${href("operators", { domain: row.domain })}>${one.operator}</a>` },
      { title: "where", value: (one) => html`<code>${one.path}</code>` },
      { title: "before", value: (one) => html`<code>${shown(one.before)}</code>` },
      { title: "after", value: (one) => html`<code>${shown(one.after)}</code>` },
      { title: "because", kind: "words", value: (one) => one.rationale },
    ]} />`;
}

const shown = (value) => (value === null || value === undefined ? "–" : Array.isArray(value) ? value.map(words).join(" | ") : words(value));

function Children({ row, at }) {
  return html`<${Table} caption="Children of this cycle" rows=${row.children.map((child, index) => ({ child, index }))} columns=${[
    { title: "child", value: ({ index }) => html`<button type="button" aria-pressed=${index === at} onClick=${() => choose({ child: index + 1 })}>${index + 1}</button>` },
    { title: "change", kind: "words", value: ({ child }) => child.rationale },
    { title: "validation", kind: "number", value: ({ child }) => percent(child.validation) },
    { title: "against the parent", kind: "number", value: ({ child }) => points(child.validation === null ? null : child.validation - row.control_validation) },
    { title: "parameters", kind: "number", value: ({ child }) => short(child.cost.parameters) },
    { title: "", value: ({ child }) => fate(row, child) },
  ]} />`;
}

function fate(row, child) {
  const run = row.runs.find((one) => one.stage === "trial" && one.spec === child.spec);
  if (child.spec === row.best) return row.generation ? `taken to the holdout as ${row.generation}` : "the best";
  return run && run.status !== "finished" ? run.reason || run.status : "";
}

const COSTS = { parameters: "", forward_flops: "FLOPs", training_flops: "FLOPs", activation_bytes: "B", optimizer_bytes: "B" };

function Costs({ spec, against }) {
  const change = (name) => {
    const before = against?.cost?.[name];
    return before ? `${(100 * (spec.cost[name] / before - 1)).toFixed(1).replace("-", "−")} %` : "–";
  };
  return spec.cost && html`<h3 class="sub">What it costs</h3><${Table} caption="Cost by the static model" rows=${Object.keys(COSTS)} columns=${[
    { title: "", value: (name) => name.replace("_", " ") },
    { title: spec.name, kind: "number", value: (name) => short(spec.cost[name], COSTS[name]) },
    ...(against ? [{ title: against.name, kind: "number", value: (name) => short(against.cost?.[name], COSTS[name]) }, { title: "change", kind: "number", value: change }] : []),
  ]} />`;
}

function Training({ row, child }) {
  const attempt = row.runs.filter((run) => run.stage !== "trial");
  const trial = row.runs.filter((run) => run.arm === "control" || run.spec === child?.spec);
  // What an attempt's child measured is not in the ledger, as it could tell a placebo: its trial is drawn instead.
  const told = attempt.some((run) => run.arm !== "control" && run.curve.length);
  const runs = told ? attempt : trial;
  const latency = row.runs.find((run) => run.latency_ms !== null && run.spec === child?.spec)?.latency_ms;
  return html`<${Curves} runs=${runs} />
    ${runs.some((run) => run.arm === "control") && html`<p class="hint">Both have the same compute: whose step costs less takes more of them.</p>`}
    <${Facts} of=${[
      ["runs", `${row.runs.length}, ${row.runs.filter((run) => run.status === "finished").length} finished`],
      ["training compute", short(row.used_flops, "FLOPs")],
      ["time", `${brief(row.wall_s)} s, ${brief(row.cpu_s)} CPU s`],
      ["latency of one forward pass", latency ? `${brief(latency)} ms` : "–"],
      ["confined by", [...new Set(row.bundles.map((one) => one.isolation).filter(Boolean))].join(", ") || "–"],
    ]} />`;
}

function Again({ row }) {
  const whole = `make cycle SEED=${row.seed} ARGS="--domain ${row.domain} --children ${Math.max(1, row.children.length)}"`;
  return html`<p class="hint">The same cycle from the same history gives the same children, results and decision${lab.value.isSample ? "; the sample's history is not in your checkout" : ""}.</p>
    <${Copy} text=${row.commit && !lab.value.isSample ? `git checkout ${row.commit} && ${whole}` : whole} />
    ${row.directory && html`<p class="hint">Train run 0 of the generation again from its frozen manifest, and compare the weights with those on record:</p>
      <${Copy} text=${`python -m aams reproduce ${row.generation} --domain ${row.domain}`} />`}`;
}

/** Manifests, keys and entries: what anybody can check. */
function Record({ row }) {
  return html`
    ${row.directory && html`<p>Artifacts: ${FILES.map((name) => html`<a href=${`${folderOf(row)}/${name}`}>${name}</a> `)}</p>`}
    <${Table} caption="Bundles" rows=${row.bundles} columns=${[
      { title: "bundle", value: (one) => `${one.stage} ${one.batch}` },
      { title: "frozen manifest", value: (one) => html`<code title=${one.manifest}>${digest(one.manifest)}</code>` },
      { title: "results", value: (one) => html`<code title=${one.results}>${digest(one.results)}</code>` },
      { title: "environment", value: (one) => html`<code title=${one.environment}>${digest(one.environment)}</code>` },
      { title: "compute", kind: "number", value: (one) => short(one.used_flops, "FLOPs") },
    ]} />
    <h3 class="sub">Keys</h3>
    <${Table} caption="Keys that signed" rows=${row.keys} columns=${[
      { title: "role", value: (one) => (one.role === "propose" ? "first key, proposes" : "second key, approves") },
      { title: "whose", value: (one) => one.principal },
      { title: "fingerprint", value: (one) => html`<code>${one.fingerprint}</code>` },
      { title: "", value: () => html`<span class="yes">✓ held when it was recorded</span>` },
    ]} />
    <p class="hint">Every signature was checked before its entry was written. Check them all again: <code>python -m aams verify</code>.</p>
    <details><summary>${counted(row.entries.length, "ledger entry", "ledger entries")}</summary>
      <${Table} caption="Ledger entries" rows=${row.entries} columns=${[
        { title: "time (UTC)", kind: "time", value: (one) => moment(one.time) },
        { title: "event", value: (one) => one.event },
        { title: "digest", value: (one) => html`<code>${one.digest}</code>` },
      ]} /></details>
    <p><a href=${href("compare", { ids: row.cycle })}>Compare it with others</a>${row.parent ? html` · <${ParentLink} row=${row} />` : ""}</p>`;
}

function ParentLink({ row }) {
  const { found } = useAsked(() => rowOf(row.domain, row.parent), [row.cycle]);
  return found ? html`<${Experiment} cycle=${found.cycle}>its parent ${row.domain}/${row.parent}<//>` : null;
}
