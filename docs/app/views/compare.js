// Two to six experiments side by side: what was decided and measured, what their specs say, and how they trained.
import { uPlot, useMemo, useState } from "../../vendor.js";
import { Download, Legend, Plot, SERIES, axis, useColours } from "../chart.js";
import { MOST_COMPARED, accuracyOf, chosen } from "../children.js";
import { artifact, columns, lab, row } from "../data.js";
import { Experiment, Loading, Notice, Outcome, html, useAsked } from "../elements.js";
import { between, brief, counted, moment, percent, points, short } from "../format.js";
import { choose, href, route } from "../route.js";
import { leaves } from "../spec.js";

/** @typedef {{id: string, title: string, row: Record<string, any>, child: Record<string, any> | null, cost: Record<string, any> | null,
 *   taken: boolean, runs: any[], fields: Map<string, any>, isWhole: boolean}} Compared
 * `taken`: whether what the cycle scored on the holdout is this child. `isWhole`: whether `fields` has defaults, too. */

export function Compare() {
  const asked = chosen();
  const ids = asked.slice(0, MOST_COMPARED);
  const { found, failed } = useAsked(() => Promise.all(ids.map(load)), [ids.join()]);
  const known = (found ?? []).filter((one) => one.row);
  return html`
    <${Add} ids=${ids} />
    ${asked.length > MOST_COMPARED && html`<${Notice} title=${`Only ${MOST_COMPARED} fit side by side.`}>The first ${MOST_COMPARED} of ${asked.length} are shown.<//>`}
    ${failed && html`<${Notice} title="The experiments can't be read.">${failed}.<//>`}
    ${!found && !failed && html`<${Loading} />`}
    ${(found ?? []).filter((one) => one.problem).map((one) => html`<${Notice} key=${one.id} title=${one.problem}>
      <button type="button" onClick=${() => keep(ids.filter((id) => id !== one.id))}>Remove it</button><//>`)}
    ${found && known.length < 2 && html`<${Notice} title="Choose at least two experiments.">Tick them under <a href=${href("pareto", { ids: ids.join(",") })}>trade-offs</a>
      ${" or "}<a href=${href("fields", { ids: ids.join(",") })}>fields</a>, or add them here by id or by name, such as ${example()}.<//>`}
    ${known.length > 0 && html`<${Shown} known=${known} ids=${ids} />`}`;
}

const keep = (ids) => choose({ ids: ids.join(",") });

function example() {
  const [domain, champion] = Object.entries(lab.value.summary.champions)[0] ?? ["language", { generation: "G003" }];
  return html`<code>${domain}/${champion.generation}</code>`;
}

/** A field for one more, by its cycle's id or its generation's name. */
function Add({ ids }) {
  const [problem, tell] = useState("");
  const add = async (event) => {
    event.preventDefault();
    const field = event.currentTarget.elements.namedItem("added");
    const text = field.value.trim();
    const place = await placeOf(text);
    if (!place) return tell(text ? `There is no experiment ${text}.` : "");
    const id = place.number ? `${place.cycle}.${place.number}` : place.cycle;
    const isHere = ids.includes(id) || ids.includes(text);
    tell(isHere ? `${text} is here already.` : "");
    if (!isHere) keep([...ids, id]);
    field.value = "";
  };
  const { rows, attempts } = lab.value.summary;
  return html`<form class="filters" onSubmit=${add}>
    <label class="choice"><span>add an experiment</span><input name="added" list="attempts" autocomplete="off" placeholder="language/G003" disabled=${ids.length >= MOST_COMPARED} /></label>
    <datalist id="attempts">${attempts.map((cycle) => html`<option value=${`${rows[cycle].domain}/${rows[cycle].generation}`} />`)}</datalist>
    <button type="submit" disabled=${ids.length >= MOST_COMPARED}>Add</button>
    <span class="soft" role="status">${problem || (ids.length >= MOST_COMPARED ? `${MOST_COMPARED} are the most.` : "")}</span>
  </form>`;
}

/** The cycle, and which of its children, that an id means: a cycle's, `cycle.3` for its third child, or domain/G003. */
async function placeOf(id) {
  const all = await columns();
  const cycle = all.placeOf.has(id) ? id : all.attemptOf.get(id);
  if (cycle) return { cycle, number: 0 };
  const [, before, number] = id.match(/^(.+)\.(\d+)$/) ?? [];
  return all.placeOf.has(before) ? { cycle: before, number: Number(number) } : null;
}

/** @returns {Promise<Compared | {id: string, problem: string}>} */
async function load(id) {
  const place = await placeOf(id);
  if (!place) return { id, problem: `There is no experiment ${id}.` };
  const found = await row(place.cycle).catch((error) => ({ problem: error.message }));
  if (!found || found.problem) return { id, problem: `${id} can't be read: ${found?.problem ?? "its row is missing"}.` };
  const best = found.children.find((one) => one.spec === found.best) ?? null;
  const child = place.number ? found.children[place.number - 1] : best;
  if (place.number && !child) return { id, problem: `${place.cycle} has no child ${place.number}.` };
  const taken = child === best;
  const title = taken && found.generation ? `${found.domain}/${found.generation}` : place.number ? `${place.cycle}, child ${place.number}` : place.cycle;
  // An attempt's runs don't name their spec while it may be a placebo.
  const isOf = (run) => !child || run.spec === child.spec || (taken && run.stage === "attempt");
  const runs = found.runs.filter((run) => run.arm !== "control" && isOf(run));
  return { id, title, row: found, child, taken, runs, ...(child ? { cost: child.cost, fields: fieldsOf(child.tree), isWhole: false } : await baseline(found)) };
}

/** What a baseline costs and says, from its own artifacts, since no cycle proposed it. */
async function baseline(found) {
  if (!found.directory) return { cost: null, fields: new Map(), isWhole: true };
  const [metrics, config, recipe] = await Promise.all(["metrics.json", "config.json", "train_args.json"].map((name) => artifact(found, name).catch(() => null)));
  return { cost: metrics?.cost ?? null, fields: fieldsOf({ model: config?.model, training: recipe?.training }), isWhole: true };
}

const fieldsOf = ({ model, training }) => new Map(leaves({ model: model ?? {}, training: training ?? {} }).filter(([, value]) => value !== null));

const ofTaken = (value) => (one) => (one.taken ? value(one) : null);
const score = (name, text) => ofTaken((one) => text(one.row.scores?.[name]));
const trial = (one) => one.runs.find((run) => run.stage === "trial") ?? one.runs[0];
const validation = (one) => (one.child ? one.child.validation : accuracyOf(one.runs));
const mutations = (one) => [...new Set((one.child?.mutations ?? []).map((mutation) => mutation.operator))].join(" + ");

/** What is compared: a name, how to say it, and the number in it where one is better than another. */
const LINES = [
  ["outcome of its cycle", (one) => one.row.outcome],
  ["decision", ofTaken((one) => one.row.reason)],
  ["change", (one) => one.child?.rationale || (one.row.parent ? "" : "the baseline, as a person wrote it")],
  ["mutation", mutations],
  ["parent", (one) => one.row.parent],
  ["parameters", (one) => short(one.cost?.parameters), (one) => -one.cost?.parameters],
  ["FLOPs forward", (one) => short(one.cost?.forward_flops), (one) => -one.cost?.forward_flops],
  ["memory in training", (one) => short(one.cost?.activation_bytes + one.cost?.optimizer_bytes, "B"), (one) => -(one.cost?.activation_bytes + one.cost?.optimizer_bytes)],
  ["latency", (one) => (trial(one)?.latency_ms ? `${brief(trial(one).latency_ms)} ms` : ""), (one) => -trial(one)?.latency_ms || NaN],
  ["accuracy on validation", (one) => percent(validation(one)), (one) => validation(one) ?? NaN],
  ["parent on validation", (one) => percent(one.row.control_validation)],
  ["generalize, on the holdout", score("generalize", percent), (one) => (one.taken ? one.row.scores?.generalize : NaN)],
  ["recall", score("recall", percent)],
  ["bits", score("bits", brief)],
  ["tone drift", score("tone_drift", brief)],
  ["law violations", score("law_violations", brief)],
  ["gain over the parent, points", ofTaken((one) => (one.row.look ? `${points(one.row.look.gain)} (95 %: ${between(one.row.look.low, one.row.look.high)})` : "")), (one) => (one.taken ? one.row.look?.gain : NaN)],
  ["e-value", ofTaken((one) => (one.row.look ? `${brief(one.row.look.e_value)} of ${brief(1 / one.row.look.level)} needed` : ""))],
  ["pairs", ofTaken((one) => (one.row.look ? String(one.row.look.pairs) : ""))],
  ["compute of its cycle", (one) => short(one.row.used_flops, "FLOPs")],
  ["seed", (one) => String(one.row.seed)],
  ["planner", (one) => one.row.planner],
  ["begun (UTC)", (one) => moment(one.row.time)],
];

const said = (value) => (value == null || value === "" ? "–" : String(value));

function Shown({ known, ids }) {
  const isAll = route.value.params.all === "yes";
  const differs = (cells) => isAll || known.length < 2 || cells.some((cell) => cell !== cells[0]);
  const domains = [...new Set(known.map((one) => one.row.domain))];
  const lines = LINES.map(([name, tell, rank]) => ({ name, cells: known.map((one) => said(tell(one))), best: rank && domains.length === 1 ? bestOf(known.map(rank)) : -1 })).filter(({ cells }) => differs(cells));
  const specs = specLines(known).filter((line) => isAll || known.length < 2 || line.differs);
  const rows = [...lines, ...specs];
  return html`
    ${domains.length > 1 && html`<${Notice} title="These are different tasks.">${domains.join(" and ")}: their scores don't compare.<//>`}
    <p class="only"><label><input type="checkbox" checked=${!isAll} onChange=${() => choose({ all: isAll ? "" : "yes" })} /> only differences</label></p>
    <${Grid} caption="What was decided and measured" known=${known} ids=${ids} rows=${lines} />
    <h2>Specs</h2>
    ${specs.length ? html`<${Grid} caption="Fields of the specs" known=${known} rows=${specs} />` : html`<p class="soft">No field differs.</p>`}
    ${specs.length > 0 && html`<p class="hint">–: the spec leaves it out, so that it has its default, or has no such block. A baseline's defaults are written out.</p>`}
    <h2>Training</h2>
    <${Curves} known=${known} />
    <p><${Download} name="comparison.csv" count=${rows.length} names=${["", ...known.map((one) => one.title)]} row=${(at) => [rows[at].name, ...rows[at].cells]} /></p>`;
}

/** Which of some numbers is the highest, where one is. */
function bestOf(numbers) {
  const finite = numbers.filter((number) => Number.isFinite(number));
  const most = Math.max(...finite);
  return finite.length > 1 && finite.filter((number) => number === most).length === 1 ? numbers.indexOf(most) : -1;
}

/** Every field of the specs. What a baseline writes out and another leaves out may be the same, so it counts as such. */
function specLines(known) {
  const names = new Set(known.flatMap((one) => [...one.fields.keys()]));
  return [...names].map((name) => {
    const values = known.map((one) => one.fields.get(name));
    const cells = values.map((value) => (value === undefined ? "–" : String(value)));
    const counted = values.filter((value, at) => value !== undefined || known[at].isWhole);
    const others = known.some((one) => !one.isWhole && one.fields.has(name));
    const written = values.filter((_, at) => !known[at].isWhole);
    return { name, cells, best: -1, differs: new Set(counted).size > 1 || (others && new Set(written).size > 1) };
  });
}

/** A field's path, which may break after a dot. */
const breakable = (path) => path.split(".").map((part, at) => (at ? html`.<wbr />${part}` : part));

/** A table with a column for each experiment. */
function Grid({ caption, known, ids, rows }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table class="compared">
    <caption class="unseen">${caption}</caption>
    <colgroup><col />${known.map(() => html`<col style=${{ width: `${84 / known.length}%` }} />`)}</colgroup>
    <thead><tr><th scope="col"><span class="unseen">what</span></th>${known.map((one, at) => html`<th scope="col" class=${`of-${SERIES[at]}`}>
      <${Experiment} cycle=${one.row.cycle}>${one.title}<//>
      ${ids && html` <button type="button" aria-label=${`Remove ${one.title}`} onClick=${() => keep(ids.filter((id) => id !== one.id))}>×</button>`}</th>`)}</tr></thead>
    <tbody>${rows.map(({ name, cells, best }) => html`<tr key=${name}><th scope="row">${breakable(name)}</th>${cells.map((cell, at) => html`<td class=${at === best ? "best" : ""}>
      ${name === LINES[0][0] ? html`<${Outcome} of=${cell} />` : cell}${at === best && html` <span class="unseen">(the best)</span>`}</td>`)}</tr>`)}
    </tbody></table></div>`;
}

/** Training loss of every run of every experiment, a colour for each. */
function Curves({ known }) {
  const colours = useColours();
  const drawn = known.flatMap((one, at) => one.runs.filter((run) => run.curve?.length > 1).map((run) => ({ run, colour: SERIES[at] })));
  const spelled = known.map((one) => one.id).join();
  const data = useMemo(() => (drawn.length ? uPlot.join(drawn.map(({ run }) => [run.curve.map(([step]) => step), run.curve.map(([, loss]) => loss)])) : []), [spelled]);
  const options = useMemo(() => ({
    legend: { show: false },
    scales: { x: { time: false } },
    axes: [axis(colours, { label: "step" }), axis(colours, { label: "training loss, nats", size: 56 })],
    series: [{}, ...drawn.map(({ colour }) => ({ stroke: colours[colour], width: 1.4, alpha: 0.75, spanGaps: true, points: { show: false } }))],
  }), [spelled, colours]);
  if (drawn.length === 0) return html`<p class="soft">No training curve is on record.</p>`;
  const counts = known.map((one) => `${counted(one.runs.filter((run) => run.curve?.length > 1).length, "run")} of ${one.title}`);
  return html`<${Plot} options=${options} data=${data} height=${320} label=${`Training loss of ${counts.join(", ")}`} />
    <${Legend} of=${known.map((one, at) => ["line", SERIES[at], counts[at]])} />`;
}
