// Fields: which values of a spec's fields go with which outcome, as parallel coordinates that can be brushed.
import { useMemo, useRef, useState } from "../../vendor.js";
import { Download, useColours } from "../chart.js";
import { Aside, DomainNote, Gaps, MEASURES, Nothing, Pick, best, childrenIn, inShort, keyOf, nameOf, shownDomain, useLatest } from "../children.js";
import { columns } from "../data.js";
import { Choice, Experiment, Loading, Notice, Outcome, Table, html } from "../elements.js";
import { counted } from "../format.js";
import { Parallel, numberAxis, passes, shadesOf, wordAxis } from "../parallel.js";
import { choose, route } from "../route.js";

const SCORES = [["validation", "validation"], ["gain", "gain over the parent"]];
const MOST_AXES = 8;
const LISTED = 50;
const BRUSH = "brush.";

export function Fields() {
  const { params } = route.value;
  const domain = shownDomain();
  const score = params.score === "gain" ? "gain" : "validation";
  const { found, failed } = useLatest(() => gather(domain, score), [domain, params.operator, params.outcome, score]);
  return html`
    <p class="hint">Every line is an experiment: it crosses each axis at its spec's value and ends at its outcome, the stronger in colour
      the better. Those that run alike are one line in their mean colour, the thicker the more they are. Drag along an axis to keep
      only what passes there; a click takes that back.</p>
    <${DomainNote} domain=${domain} />
    <div class="filters">
      <${Choice} label="colour by" value=${score} options=${SCORES} choose=${(value) => choose({ score: value, [`${BRUSH}score`]: "" })} />
      ${found?.fields.length > MOST_AXES && html`<${Choice} label="fields" value=${params.axes === "all" ? "all" : ""} choose=${(value) => choose({ axes: value })}
        options=${[["", `the ${MOST_AXES} that vary most`], ["all", `all ${found.fields.length} that vary`]]} />`}
    </div>
    ${failed && html`<${Notice} title="The experiments can't be read.">${failed}.<//>`}
    ${!found && !failed && html`<${Loading} />`}
    ${found && html`<${Gaps} of=${found.all.missing} /><${Shown} ...${found} domain=${domain} />`}`;
}

/** The children that the filters let pass, with an axis for each field that varies among them, the most varied first. */
async function gather(domain, score) {
  const all = await columns();
  const places = childrenIn(all, domain);
  const fields = [];
  for (const [name, gene] of Object.entries(all.genes)) {
    const values = places.map((at) => gene[at]);
    const { varied, isNumber } = varietyOf(values);
    if (varied > 0) fields.push({ varied, axis: isNumber ? numberAxis(name, name, values) : wordAxis(name, name, values) });
    await new Promise((go) => setTimeout(go));
  }
  fields.sort((one, other) => other.varied - one.varied || one.axis.name.localeCompare(other.axis.name));
  const measure = MEASURES[score];
  const scores = places.map((at) => measure.of(all, at));
  const outcome = numberAxis("score", score === "gain" ? "gain, in points" : "validation", scores, measure.text, "no score");
  return { all, places, fields: fields.map(({ axis }) => axis), outcome, scores, measure };
}

/** The share of values that are not the most common one, and whether there is a range of numbers among them. */
function varietyOf(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let most = 0;
  for (const count of counts.values()) most = Math.max(most, count);
  const named = [...counts.keys()].filter((value) => value !== null);
  return { varied: 1 - most / values.length, isNumber: named.length > 1 && named.every((value) => typeof value === "number") };
}

function Shown({ all, places, fields, outcome, scores, measure, domain }) {
  const { params } = route.value;
  const live = useRef(null);
  const [, redraw] = useState(0);
  const axes = useMemo(() => [...(params.axes === "all" ? fields : fields.slice(0, MOST_AXES)), outcome], [fields, outcome, params.axes]);
  const every = [...fields, outcome];
  const brushes = brushesOf(params, every);
  if (live.current) live.current.brush ? brushes.set(live.current.name, live.current.brush) : brushes.delete(live.current.name);
  const spelled = [...brushes].map(([name, brush]) => `${name}=${written(brush)}`).join("&");
  const { kept, isShown } = useMemo(() => filtered(places.length, every, brushes), [places, outcome, spelled]);
  const top = useMemo(() => best(kept, (at) => scores[at], LISTED), [kept, scores]);
  const drag = (axis, brush) => redraw(((live.current = { name: axis.name, brush }), (now) => now + 1));
  const drop = () => {
    const done = live.current;
    live.current = null;
    if (done) set(done.name, done.brush);
  };
  if (places.length === 0) return html`<${Nothing} missing=${all.missing} />`;
  const name = (at) => nameOf(all, places[at]);
  const cycle = (at) => all.children.cycle[places[at]];
  const said = `${kept.length.toLocaleString("en")} of ${counted(places.length, "experiment")} of ${domain}`;
  const unscored = outcome.without;
  return html`
    ${fields.length === 0
      ? html`<${Notice} title="No field varies.">${counted(places.length, "experiment")} of ${domain} ${places.length === 1 ? "is" : "are"} on record,
        and a chart of fields needs two that differ. The table below has what there is.<//>`
      : html`<${Parallel} axes=${axes} count=${places.length} brushes=${brushes} isShown=${isShown} drag=${drag} drop=${drop}
          label=${`Parallel coordinates of ${said}, over ${axes.map((axis) => axis.title).join(", ")}`} />
        <${Ramp} outcome=${outcome} />`}
    <p class="hint" role="status">Shown: ${said}${unscored > 0 && `; ${unscored.toLocaleString("en")} of all ${unscored === 1 ? "has" : "have"} no ${measure === MEASURES.gain ? "gain" : measure.title} on record and end at “no score”`}.</p>
    <${Brushes} axes=${axes} brushes=${brushes} />
    <h2>${kept.length > LISTED ? `The best ${LISTED} of them` : "These experiments"}</h2>
    <${Table} caption="Experiments that the brushes let pass, best first" rows=${top} columns=${[
      { title: "compare", value: (at) => html`<${Pick} id=${keyOf(all, places[at])} name=${name(at)} />` },
      { title: "experiment", value: (at) => html`<${Experiment} cycle=${all.cycles.id[cycle(at)]}>${name(at)}<//>` },
      { title: measure === MEASURES.gain ? "gain" : "validation", kind: "number", value: (at) => measure.text(scores[at]) },
      { title: "spec", kind: "words", value: (at) => inShort(all, places[at]) },
      { title: "mutation", value: (at) => all.children.operator[places[at]] },
      { title: "outcome of its cycle", value: (at) => html`<${Outcome} of=${all.cycles.outcome[cycle(at)]} />` },
    ]} />
    <p><${Download} name=${`fields-${domain}.csv`} count=${kept.length} names=${["experiment", "cycle", "outcome", "mutation", measure.title, ...fields.map((axis) => axis.name)]}
      row=${(index) => row(kept[index])} /></p>
    <${Aside} />`;

  function row(at) {
    const genes = fields.map((axis) => all.genes[axis.name][places[at]]);
    return [name(at), all.cycles.id[cycle(at)], all.cycles.outcome[cycle(at)], all.children.operator[places[at]], scores[at], ...genes];
  }
}

/** Which experiments pass every brush. */
function filtered(count, axes, brushes) {
  const tests = axes.filter((axis) => brushes.has(axis.name)).map((axis) => passes(axis, brushes.get(axis.name)));
  const mask = new Uint8Array(count);
  const kept = [];
  for (let at = 0; at < count; at++) {
    if (!tests.every((test) => test(at))) continue;
    mask[at] = 1;
    kept.push(at);
  }
  return { kept, isShown: (at) => mask[at] === 1 };
}

/** The brushes in the address, of the axes that there are. @returns {Map<string, import("../parallel.js").Brush>} */
function brushesOf(params, axes) {
  const found = new Map();
  for (const axis of axes) {
    const text = params[BRUSH + axis.name];
    if (!text) continue;
    const [low, high, ...more] = text.split("..").map(Number);
    if (axis.words) found.set(axis.name, { words: text.split("|") });
    else if (more.length === 0 && low <= high) found.set(axis.name, { low, high });
  }
  return found;
}

const written = (brush) => (brush.words ? brush.words.join("|") : `${brush.low}..${brush.high}`);
const set = (name, brush) => choose({ [BRUSH + name]: brush ? written(brush) : "" });

/** What the colours mean. */
function Ramp({ outcome }) {
  const shades = shadesOf(useColours());
  if (outcome.stops.length === 0) return html`<p class="legend">No experiment has a score yet.</p>`;
  return html`<p class="legend"><span>rank of ${outcome.title}: lowest, ${outcome.text(outcome.from(0))}</span>
    <svg class="ramp" width="160" height="10" aria-hidden="true">${shades.map((shade, at) => html`<rect x=${at * 20} width="20" height="10" fill=${shade} />`)}</svg>
    <span>highest, ${outcome.text(outcome.from(1))}</span></p>`;
}

/** The same brushes as controls: two sliders for numbers, boxes for words. */
function Brushes({ axes, brushes }) {
  const clear = () => choose(Object.fromEntries(Object.keys(route.value.params).filter((name) => name.startsWith(BRUSH)).map((name) => [name, ""])));
  const said = (axis, brush) => (brush.words ? brush.words.join(" or ") : `${axis.text(brush.low)} to ${axis.text(brush.high)}`);
  const titles = new Map(axes.map((axis) => [axis.name, axis]));
  return html`<div class="brushes">
    ${brushes.size > 0 && html`<div class="taken-brushes">${[...brushes].map(([name, brush]) => html`<button type="button" key=${name} title="Take back" onClick=${() => set(name, null)}>
      ${name}: ${said(titles.get(name) ?? { text: String }, brush)} <span aria-hidden="true">×</span></button>`)}
      <button type="button" onClick=${clear}>Clear all</button></div>`}
    <details><summary>Brush with sliders and boxes</summary><div class="controls">
      ${axes.map((axis) => html`<${axis.words ? Boxes : Sliders} key=${axis.name} axis=${axis} brush=${brushes.get(axis.name)} />`)}
    </div></details>
  </div>`;
}

function Sliders({ axis, brush }) {
  const { stops } = axis;
  if (stops.length < 2) return null;
  const last = stops.length - 1;
  const near = (value) => stops.reduce((found, stop, at) => (Math.abs(stop - value) < Math.abs(stops[found] - value) ? at : found), 0);
  const low = brush ? near(brush.low) : 0, high = brush ? near(brush.high) : last;
  const keep = (from, to) => set(axis.name, from === 0 && to === last ? null : { low: stops[Math.min(from, to)], high: stops[Math.max(from, to)] });
  const slider = (what, value, change) => html`<input type="range" min="0" max=${last} step="1" value=${value} aria-label=${`${axis.title}, ${what}`}
    aria-valuetext=${axis.text(stops[value])} onChange=${(event) => change(Number(event.currentTarget.value))} />`;
  return html`<fieldset><legend>${axis.title}</legend>
    ${slider("from", low, (value) => keep(value, Math.max(value, high)))}${slider("to", high, (value) => keep(Math.min(low, value), value))}
    <span class="soft">${axis.text(stops[low])} to ${axis.text(stops[high])}</span></fieldset>`;
}

function Boxes({ axis, brush }) {
  const wanted = brush?.words ?? axis.words;
  const change = (word) => {
    const words = axis.words.filter((one) => (one === word) !== wanted.includes(one));
    set(axis.name, words.length && words.length < axis.words.length ? { words } : null);
  };
  return html`<fieldset><legend>${axis.title}</legend>${axis.words.map((word) => html`<label key=${word}>
    <input type="checkbox" checked=${wanted.includes(word)} onChange=${() => change(word)} /> ${word}</label>`)}</fieldset>`;
}
