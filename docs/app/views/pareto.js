// Trade-offs: what was measured on two axes, and what nothing else beats on both.
import { useMemo } from "../../vendor.js";
import { Download, Legend, inSlices } from "../chart.js";
import { Aside, DomainNote, Gaps, MEASURES, Nothing, Pick, accuracyOf, childrenIn, chosen, inShort, keyOf, nameOf, shownDomain, toggle, useLatest } from "../children.js";
import { artifact, columns, lab, row } from "../data.js";
import { Choice, Experiment, Loading, Notice, Outcome, Table, html } from "../elements.js";
import { counted } from "../format.js";
import { choose, go, href, route } from "../route.js";
import { Scatter } from "../scatter.js";

const COSTS = ["parameters", "flops", "latency", "memory"];
const AXES = ["fitness", ...COSTS];
const SCORES = [["holdout", "holdout, of attempts"], ["validation", "validation, of trials"]];
const FEW = 3;
const LISTED = 50;

export function Pareto() {
  const { params } = route.value;
  const domain = shownDomain();
  const { x, y, score } = axesOf(params, domain);
  const { found, failed } = useLatest(() => gather(domain, measure(x, score), measure(y, score)), [domain, params.operator, params.outcome, x, y, score]);
  const named = AXES.map((name) => [name, name === "flops" ? "FLOPs" : name]);
  return html`
    <p class="hint">Nothing is free: what is better on one side mostly costs on the other. The line joins the experiments that no
      other beats on both axes.</p>
    <${DomainNote} domain=${domain} />
    <div class="filters">
      <${Choice} label="across" value=${x} options=${named} choose=${(value) => choose(value === y ? { x: y, y: x } : { x: value })} />
      <${Choice} label="up" value=${y} options=${named} choose=${(value) => choose(value === x ? { x: y, y: x } : { y: value })} />
      ${[x, y].includes("fitness") && html`<${Choice} label="fitness on" value=${score} options=${SCORES} choose=${(value) => choose({ score: value })} />`}
    </div>
    ${failed && html`<${Notice} title="The experiments can't be read.">${failed}.<//>`}
    ${!found && !failed && html`<${Loading} />`}
    ${found && html`<${Gaps} of=${found.all.missing} /><${Shown} ...${found} domain=${domain} />`}`;
}

/** Which axes the address asks for. Few attempts make no front, so that a young lab's trials are shown instead. */
function axesOf(params, domain) {
  const x = AXES.includes(params.x) ? params.x : "parameters";
  const y = AXES.includes(params.y) ? params.y : "fitness";
  const other = x === "fitness" ? "parameters" : "fitness";
  const attempts = lab.value.summary.totals[domain]?.attempts ?? 0;
  const isScore = SCORES.some(([name]) => name === params.score);
  return { x, y: x === y ? other : y, score: isScore ? params.score : attempts > FEW ? "holdout" : "validation" };
}

const measure = (name, score) => MEASURES[name === "fitness" ? score : name];

/** Both numbers of every child that has them, and what no other beats. Place -1 is the champion where it is a baseline. */
async function gather(domain, xAxis, yAxis) {
  const all = await columns();
  const reference = await championOf(all, domain);
  const places = childrenIn(all, domain);
  if (reference && !places.includes(reference.place)) places.push(reference.place);
  const value = (axis, at) => (at < 0 ? reference.values.get(axis) ?? null : axis.of(all, at));
  const missing = { x: 0, y: 0 };
  const x = new Float64Array(places.length), y = new Float64Array(places.length), place = new Int32Array(places.length);
  let count = 0;
  await inSlices(places.length, (index) => {
    const at = places[index], across = value(xAxis, at), up = value(yAxis, at);
    if (across === null) missing.x++;
    if (up === null) missing.y++;
    if (across === null || up === null) return;
    (x[count] = across), (y[count] = up), (place[count] = at);
    count++;
  });
  const points = { count, x: x.subarray(0, count), y: y.subarray(0, count), place: place.subarray(0, count) };
  const isPlacebo = (at) => at >= 0 && all.children.taken[at] && all.cycles.placebo[all.children.cycle[at]] === true;
  const front = await frontOf(points, xAxis.higher, yAxis.higher, (index) => isPlacebo(points.place[index]));
  const champion = reference ? points.place.indexOf(reference.place) : -1;
  return { all, points, front, champion: champion < 0 ? null : champion, reference, missing, asked: places.length, xAxis, yAxis };
}

/** The points that no other beats on one axis and equals on the other, from left to right. */
async function frontOf({ count, x, y }, isHigherRight, isHigherUp, isLeftOut) {
  const right = isHigherRight ? -1 : 1, up = isHigherUp ? -1 : 1;
  const beats = (one, other) => right * x[one] <= right * x[other] && up * y[one] <= up * y[other];
  let front = [];
  await inSlices(count, (at) => {
    if (front.some((other) => beats(other, at)) || isLeftOut(at)) return;
    front = [...front.filter((other) => !beats(at, other)), at];
  });
  return front.sort((one, other) => x[one] - x[other]);
}

/** The champion's child; or, where it is a baseline, which no cycle proposed, its numbers from its own artifacts. */
async function championOf(all, domain) {
  const champion = lab.value.summary.champions[domain];
  const cycle = champion ? (all.cycles.id ?? []).indexOf(champion.cycle) : -1;
  if (cycle < 0) return null;
  const place = all.children.cycle?.findIndex((one, at) => one === cycle && all.children.taken[at]) ?? -1;
  if (place >= 0) return { place };
  const found = await row(champion.cycle).catch(() => null);
  const cost = found && (await artifact(found, "metrics.json").catch(() => null))?.cost;
  const times = (found?.runs ?? []).map((run) => run.latency_ms).filter((time) => time > 0).sort((one, other) => one - other);
  const values = new Map([
    [MEASURES.holdout, champion.scores?.generalize],
    [MEASURES.validation, accuracyOf(found?.runs ?? [])],
    [MEASURES.parameters, cost?.parameters],
    [MEASURES.flops, cost?.forward_flops],
    [MEASURES.latency, times[times.length >> 1]],
    [MEASURES.memory, cost ? cost.activation_bytes + cost.optimizer_bytes : null],
  ]);
  return { place: -1, values, key: champion.cycle, name: `${domain}/${champion.generation}`, words: "the baseline, as a person wrote it" };
}

function Shown({ all, points, front, champion, reference, missing, asked, xAxis, yAxis, domain }) {
  if (asked === 0) return html`<${Nothing} missing=${all.missing} />`;
  const put = chosen();
  const tell = {
    key: (at) => (points.place[at] < 0 ? reference.key : keyOf(all, points.place[at])),
    cycle: (at) => (points.place[at] < 0 ? reference.key : all.cycles.id[all.children.cycle[points.place[at]]]),
    name: (at) => (points.place[at] < 0 ? reference.name : nameOf(all, points.place[at])),
    words: (at) => (points.place[at] < 0 ? reference.words : inShort(all, points.place[at])),
    outcome: (at) => (points.place[at] < 0 ? "accepted" : all.cycles.outcome[all.children.cycle[points.place[at]]]),
    operator: (at) => (points.place[at] < 0 ? "" : all.children.operator[points.place[at]]),
  };
  const aside = useMemo(() => (put.length ? placesOf(all, points, put, reference) : []), [points, put.join()]);
  const numbers = (at) => `${xAxis.title} ${xAxis.text(points.x[at])}, ${yAxis.title} ${yAxis.text(points.y[at])}`;
  const said = `${yAxis.title} against ${xAxis.title} of ${counted(points.count, "experiment")} of ${domain}; ${counted(front.length, "is", "are")} on the front`;
  return html`
    ${points.count > 0 && html`<${Scatter} points=${points} front=${front} champion=${champion} aside=${aside} xAxis=${xAxis} yAxis=${yAxis} label=${said}
      name=${(at) => `${tell.name(at)}: ${numbers(at)}; ${tell.words(at)}`} open=${(at) => go(href("experiment", {}, tell.cycle(at)))} toggle=${(at) => toggle(tell.key(at))}
      describe=${(at) => html`<strong>${tell.name(at)}</strong>${at === champion && " · champion"}<div>${tell.words(at)}</div>
        <div>${xAxis.title} ${xAxis.text(points.x[at])}<br />${yAxis.title} ${yAxis.text(points.y[at])}</div>
        <div class="soft">${tell.outcome(at)} · a click opens it, with Shift it is put aside</div>`} />
    <${Legend} of=${[["disc", "accent", "on the front"], ["disc", "soft", "beaten by another"], ["diamond", "yes", "the champion"], ["ring", "two", "put aside to compare"]]} />`}
    <${Counts} shown=${points.count} asked=${asked} missing=${missing} xAxis=${xAxis} yAxis=${yAxis} />
    <h2>On the front</h2>
    <${Table} caption="Experiments on the front, from left to right" rows=${front.slice(0, LISTED)} columns=${[
      { title: "compare", value: (at) => html`<${Pick} id=${tell.key(at)} name=${tell.name(at)} />` },
      { title: "experiment", value: (at) => html`<${Experiment} cycle=${tell.cycle(at)}>${tell.name(at)}<//>${at === champion && html` <span class="soft">champion</span>`}` },
      { title: xAxis.title, kind: "number", value: (at) => xAxis.text(points.x[at]) },
      { title: yAxis.title, kind: "number", value: (at) => yAxis.text(points.y[at]) },
      { title: "spec", kind: "words", value: (at) => tell.words(at) },
      { title: "outcome of its cycle", value: (at) => html`<${Outcome} of=${tell.outcome(at)} />` },
    ]} />
    ${front.length > LISTED && html`<p class="soft">The first ${LISTED} of ${front.length}; the rest is in the file.</p>`}
    <p><${Download} name=${`trade-offs-${domain}.csv`} count=${points.count} names=${["experiment", "cycle", "outcome", "mutation", "spec", xAxis.title, yAxis.title, "on the front"]}
      row=${(at) => [tell.name(at), tell.cycle(at), tell.outcome(at), tell.operator(at), tell.words(at), points.x[at], points.y[at], front.includes(at) ? "yes" : "no"]} /></p>
    <${Aside} />`;
}

/** Points of what is put aside. */
function placesOf(all, points, keys, reference) {
  const cycles = new Set(keys.map((key) => all.placeOf.has(key) ? key : key.replace(/\.\d+$/, "")));
  const wanted = [];
  for (let at = 0; at < points.count; at++) {
    const place = points.place[at];
    if (place < 0 ? keys.includes(reference.key) : cycles.has(all.cycles.id[all.children.cycle[place]]) && keys.includes(keyOf(all, place))) wanted.push(at);
  }
  return wanted;
}

/** How many are shown, and why the others are not. */
function Counts({ shown, asked, missing, xAxis, yAxis }) {
  const lacks = [[missing.x, xAxis], [missing.y, yAxis]].filter(([count]) => count > 0).map(([count, axis]) => `${count.toLocaleString("en")} ${count === 1 ? "has" : "have"} no ${axis.title} on record`);
  return html`<p class="hint">Shown: ${shown.toLocaleString("en")} of ${counted(asked, "experiment")}${lacks.length > 0 && `; ${lacks.join(", ")}`}.
    ${shown === 0 && " Choose other axes, or fitness on validation."}</p>`;
}
