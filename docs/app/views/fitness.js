// Fitness over time: the champion's line, every attempt with its interval, its seeds and its control, and the trials.
import { Download, FONT, Legend, Plot, WithColumns, axis, dot, inkOf, specks, thinner, useColours } from "../chart.js";
import { Choice, Experiment, Loading, Notice, Outcome, Table, html, useAsked } from "../elements.js";
import { childrenOf, cyclesOf } from "../filters.js";
import { between, counted, moment, percent, points, short } from "../format.js";
import { choose, route } from "../route.js";
import { championsOf, halfWidth, placesOf, rangeOf, stepsOf } from "../series.js";
import { uPlot, useMemo } from "../../vendor.js";

const ROWS = 100;
const REACH = 12;     // pixels between the pointer and what it means
const FULL = 26;      // pixels for an attempt from which its seeds and its control are drawn beside it
const MANY = 3000;    // trials from which one is a speck
const INTERVALS = 5;  // and from which its interval is
const AXES = [["generation", "generation"], ["date", "date"], ["flops", "training FLOPs"]];
const DOMAINS = ["one", "five", "four", "six", "three", "two"]; // the colours of outcomes last
const MARKS = { accepted: "disc", rejected: "tombstone", placebo: "diamond" };

/** Fitness over generations, dates or compute. */
export const Fitness = () => html`<${WithColumns} part=${Placed} />`;

function Placed({ all }) {
  const by = AXES.some(([name]) => name === route.value.params.x) ? route.value.params.x : "generation";
  const { found: places, failed } = useAsked(() => placesOf(all, by), [all, by]);
  if (failed) return html`<${Notice} title="The chart can't be drawn.">${failed}</${Notice}>`;
  return places ? html`<${Drawn} key=${by} all=${all} by=${by} places=${places} />` : html`<${Loading} />`;
}

function Drawn({ all, by, places }) {
  const { domain, operator, outcome, trials: wished, span } = route.value.params;
  const trials = wished === "yes";
  const colours = useColours();
  const shown = useMemo(() => gathered(all, places, trials), [all, places, trials, domain, operator, outcome]);
  const lines = useMemo(() => championsOf(all, places), [all, places]);
  const data = useMemo(() => stepsOf(shown.domains.map((name) => lines.get(name)), shown.end), [shown, lines]);
  const options = useMemo(() => optionsOf(all, shown, by, span, colours), [shown, by, span, colours]);
  const promoted = useMemo(() => shown.domains.flatMap((name) => lines.get(name)).map((step) => step.cycle).sort((one, other) => other - one), [shown, lines]);
  const below = shown.trials.filter((point) => point.value < shown.low).length;
  return html`
    <p class="hint">The line is the champion: the best that was proven, not the last that was tried, with the score it had when it was
      promoted. Every generation is scored on a holdout block of its own, so compare an attempt with the hollow mark beside it: its
      parent, retrained on the same block.</p>
    <div class="steer">
      <${Choice} label="over" value=${by} options=${AXES} choose=${(x) => choose({ x: x === "generation" ? "" : x, span: "" })} />
      <${Choice} label="trials (validation)" value=${trials ? "yes" : ""} options=${[["", "hidden"], ["yes", "shown"]]}
        choose=${(value) => choose({ trials: value })} />
      ${span && html`<button type="button" onClick=${() => choose({ span: "" })}>Show all</button>`}
      <${Download} name="aams-fitness.csv" names=${SAVED} count=${shown.attempts.length + shown.trials.length}
        row=${(at) => saved(all, shown.attempts[at] ?? shown.trials[at - shown.attempts.length])} />
      <span class="soft keys">Drag across the chart to zoom in; a click opens the experiment.</span>
    </div>
    <${Plot} options=${options} data=${data} height=${440} label=${labelOf(all, shown, lines)} hover=${(plot, left, top) => hovered(all, shown, plot, left, top)} />
    <${Legend} of=${legendOf(shown)} />
    ${below > 0 && html`<p class="hint">${counted(below, "trial")} scored below what the chart shows, and lie on its lower edge.</p>`}
    <h2>Champions</h2>
    <${Champions} all=${all} promoted=${promoted} />`;
}

/** The points that the filters let pass. */
function gathered(all, places, withTrials) {
  const { cycles, children } = all;
  const { domain } = route.value.params;
  const known = [...new Set(cycles.domain)].sort();
  const domains = known.filter((name) => !domain || name === domain);
  const colourOf = new Map(known.map((name, at) => [name, DOMAINS[at % DOMAINS.length]]));
  const attempts = cyclesOf(all).filter((at) => cycles.generation[at] && !cycles.rollback[at] && cycles.fitness[at] !== null).map((cycle) => {
    const half = halfWidth(cycles.runs[cycle] ?? []);
    const value = cycles.fitness[cycle];
    return { cycle, child: -1, x: places[cycle], value, low: half === null ? value : value - half, high: half === null ? value : value + half,
      colour: colourOf.get(cycles.domain[cycle]), kind: cycles.placebo[cycle] ? "diamond" : MARKS[cycles.outcome[cycle]] ?? "square" };
  });
  const tried = !withTrials ? [] : childrenOf(all).filter((child) => children.validation[child] !== null);
  const trials = tried.map((child) => {
    const cycle = children.cycle[child];
    return { cycle, child, x: places[cycle], value: children.validation[child], colour: colourOf.get(cycles.domain[cycle]) };
  });
  const drawn = ({ cycle, value, low, high }) => [value, low, high, cycles.control[cycle] ?? value, ...(cycles.runs[cycle] ?? [])];
  const always = attempts.flatMap(drawn).filter(Number.isFinite);
  const [low, high] = rangeOf(always, trials.map((point) => point.value));
  let first = Infinity, end = -Infinity;
  for (let at = 0; at < places.length; at++) {
    if (domain && cycles.domain[at] !== domain) continue;
    if (places[at] < first) first = places[at];
    if (places[at] > end) end = places[at];
  }
  return { attempts, trials, domains, colourOf, low, high, first, end };
}

function optionsOf(all, shown, by, span, colours) {
  const [from, to] = windowOf(span) ?? padded(shown.first, shown.end);
  return {
    legend: { show: false },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    scales: { x: { time: by === "date", range: () => [from, to] }, y: { range: () => [shown.low, shown.high] } },
    cursor: { points: { show: false }, y: false, drag: { x: true, y: false, setScale: false } },
    axes: [
      axis(colours, { size: 30, ...ticksOf(by) }),
      axis(colours, { size: 58, values: (_, ticks, __, ___, step) => ticks.map((one) => percent(one, step < 0.01 ? 1 : 0)) }),
    ],
    series: [{}, ...shown.domains.map((name) => ({
      stroke: colours[shown.colourOf.get(name)], width: 2.5, spanGaps: true, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }),
    }))],
    hooks: {
      drawAxes: [(plot) => drawTrials(plot, shown, colours)],
      draw: [(plot) => drawAttempts(plot, all, shown, colours)],
      setSelect: [(plot) => {
        const { left, width } = plot.select;
        if (width > 4) choose({ span: [left, left + width].map((at) => rounded(plot.posToVal(at, "x"))).join("..") });
      }],
    },
  };
}

/** How the axis of generations, dates or compute is divided and named. */
function ticksOf(by) {
  if (by === "flops") return { label: "training FLOPs spent in the domain", values: (_, ticks) => ticks.map((one) => short(one)) };
  if (by === "generation") return { label: "generation", incrs: WHOLE };
  const named = (seconds, step) => {
    const text = moment(new Date(seconds * 1000).toISOString());
    return step < DAY_S && seconds % DAY_S !== 0 ? text.slice(11) : text.slice(0, 10);
  };
  return { label: "date (UTC)", space: 100, values: (_, ticks, __, ___, step) => ticks.map((one) => named(one, step)) };
}

const DAY_S = 86400;
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
const rounded = (value) => Number(value.toPrecision(10));

function windowOf(span) {
  const [from, to] = (span ?? "").split("..").map(Number);
  return to > from ? [from, to] : null;
}

function padded(first, end) {
  const room = (end - first || 1) * 0.02;
  return [first - room, end + room];
}

/** Where a point lies on the canvas, in its own pixels; what is below the chart lies on its edge. */
function onCanvas(plot, { low, high }) {
  const { left, top, width, height } = plot.bbox;
  const { min, max } = plot.scales.x;
  return {
    x: (value) => left + ((value - min) / (max - min)) * width,
    y: (value) => top + (1 - (Math.max(value, low) - low) / (high - low)) * height,
    inside: (point) => point.x >= min && point.x <= max,
    fresh: (cell) => thinner(left + width, top + height, cell),
  };
}

/** Do something within the chart's area. */
function clipped({ ctx: context, bbox: { left, top, width, height } }, act) {
  context.save();
  context.beginPath();
  context.rect(left, top - 8, width, height + 12);
  context.clip();
  act(context, devicePixelRatio || 1);
  context.restore();
}

function drawTrials(plot, shown, colours) {
  const { x, y, inside } = onCanvas(plot, shown);
  const { width, height } = plot.ctx.canvas;
  clipped(plot, (context, ratio) => {
    const layer = specks(width, height, (shown.trials.length > MANY ? 2 : 3) * ratio);
    const inks = new Map([...shown.colourOf.values()].map((name) => [name, inkOf(colours[name], 0.5)]));
    for (const point of shown.trials) if (inside(point)) layer.put(x(point.x), y(point.value), inks.get(point.colour));
    layer.onto(context, 0, 0);
  });
}

/** Every attempt, over the champion's line; in less detail the more there are. */
function drawAttempts(plot, all, shown, colours) {
  const { x, y, inside, fresh } = onCanvas(plot, shown);
  clipped(plot, (context, ratio) => {
    const seen = shown.attempts.filter(inside);
    const room = plot.bbox.width / ratio / Math.max(1, seen.length / shown.domains.length);
    const isFirst = fresh(room < INTERVALS ? 3 * ratio : 1);
    for (const point of seen) {
      const across = x(point.x), level = y(point.value);
      context.fillStyle = context.strokeStyle = colours[point.colour];
      if (room >= INTERVALS) interval(context, across, y(point.low), y(point.high), ratio, room);
      if (room >= FULL) beside(context, all, colours, point, across, y, ratio);
      if (!isFirst(across, level)) continue;
      context.lineWidth = 1.5 * ratio;
      dot(context, across, level, (room < INTERVALS ? 2.2 : room < FULL ? 3 : 4.5) * ratio, point.kind);
    }
  });
}

function interval(context, across, low, high, ratio, room) {
  context.globalAlpha = room >= FULL ? 0.8 : 0.4;
  context.lineWidth = 1.2 * ratio;
  const cap = room >= FULL ? 3 * ratio : 0;
  context.beginPath();
  context.moveTo(across, low), context.lineTo(across, high);
  context.moveTo(across - cap, low), context.lineTo(across + cap, low);
  context.moveTo(across - cap, high), context.lineTo(across + cap, high);
  context.stroke();
  context.globalAlpha = 1;
}

/** To the left the control, to the right every seed, above how many. */
function beside(context, all, colours, { cycle, high }, across, y, ratio) {
  const control = all.cycles.control[cycle], runs = all.cycles.runs[cycle] ?? [];
  context.lineWidth = 1.5 * ratio;
  if (control !== null) dot(context, across - 8 * ratio, y(control), 3.2 * ratio, "ring");
  context.globalAlpha = 0.5;
  for (const run of runs) if (Number.isFinite(run)) dot(context, across + 7 * ratio, y(run), 1.7 * ratio, "disc");
  context.globalAlpha = 1;
  const colour = context.fillStyle;
  context.font = FONT.replace("12px", `${10 * ratio}px`);
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.fillStyle = colours.soft;
  context.fillText(`N ${runs.length}`, across, y(Math.max(high, ...runs)) - 6 * ratio);
  context.fillStyle = colour;
}

/** What is under the pointer; an attempt before a trial. */
function hovered(all, shown, plot, left, top) {
  const { min, max } = plot.scales.x;
  const { width, height } = plot.over.getBoundingClientRect();
  const place = (point) => [((point.x - min) / (max - min)) * width, (1 - (Math.max(point.value, shown.low) - shown.low) / (shown.high - shown.low)) * height];
  for (const list of [shown.attempts, shown.trials]) {
    let best = null, least = REACH;
    for (const point of list) {
      const [across, level] = place(point);
      const far = Math.hypot(across - left, level - top);
      if (far < least) [best, least] = [point, far];
    }
    if (best) {
      const [across, level] = place(best);
      return { left: across, top: level, cycle: all.cycles.id[best.cycle], tip: html`<${Said} all=${all} point=${best} />` };
    }
  }
  return null;
}

function Said({ all: { cycles, children }, point: { cycle, child, low, high } }) {
  const name = cycles.generation[cycle] ? `${cycles.domain[cycle]}/${cycles.generation[cycle]}` : cycles.id[cycle];
  if (child >= 0) return html`<strong>A trial of ${name}</strong><br />${children.operator[child]}<br />${percent(children.validation[child])} on validation`;
  return html`<strong>${name}</strong> <${Outcome} of=${cycles.outcome[cycle]} /><br />
    ${percent(cycles.fitness[cycle])}${high > low && html` (95 %: ${percent(low)} to ${percent(high)})`}, ${counted(cycles.runs[cycle]?.length ?? 0, "run")}<br />
    ${cycles.control[cycle] !== null && html`its parent, retrained: ${percent(cycles.control[cycle])}<br />`}
    ${cycles.gain[cycle] !== null && html`gain ${points(cycles.gain[cycle])} points (95 %: ${between(cycles.low[cycle], cycles.high[cycle])})<br />`}
    <span class="soft">${moment(cycles.time[cycle])}</span>`;
}

function labelOf({ cycles }, shown, lines) {
  const parts = shown.domains.map((name) => {
    const line = lines.get(name);
    if (line.length === 0) return `${name}: no champion yet`;
    return `${name}: ${counted(line.length, "champion")}, from ${percent(line[0].value)} to ${percent(line.at(-1).value)} (${cycles.generation[line.at(-1).cycle]})`;
  });
  return `Fitness over time. ${parts.join(". ")}. The table below lists the champions.`;
}

function legendOf({ domains, colourOf, attempts, trials }) {
  const kinds = new Set(attempts.map((point) => point.kind));
  return [
    ...domains.map((name) => ["line", colourOf.get(name), name]),
    ["disc", "soft", "accepted"],
    ...(kinds.has("tombstone") ? [["tombstone", "soft", "rejected"]] : []),
    ...(kinds.has("diamond") ? [["diamond", "soft", "placebo"]] : []),
    ...(kinds.has("square") ? [["square", "soft", "open, waiting or not decided"]] : []),
    ["ring", "soft", "its parent, retrained"],
    ["bar", "soft", "95 % interval of the mean (Student's t) of N runs"],
    ["small", "soft", "one run"],
    ...(trials.length ? [["speck", "soft", "trial, on validation"]] : []),
  ];
}

function Champions({ all: { cycles }, promoted }) {
  const rows = Math.max(ROWS, Number(route.value.params.rows) || 0);
  return html`<${Table} caption="Champions, the newest first" rows=${promoted.slice(0, rows)} columns=${[
      { title: "champion", value: (at) => html`<${Experiment} cycle=${cycles.id[at]}>${cycles.domain[at]}/${cycles.generation[at]}<//>` },
      { title: "begun (UTC)", kind: "time", value: (at) => moment(cycles.time[at]) },
      { title: "how", value: (at) => html`<${Outcome} of=${cycles.outcome[at]} />` },
      { title: "score", kind: "number", value: (at) => percent(cycles.fitness[at]) },
      { title: "parent, retrained", kind: "number", value: (at) => percent(cycles.control[at]) },
      { title: "gain", kind: "number", value: (at) => points(cycles.gain[at]) },
      { title: "95 % interval", kind: "number", value: (at) => between(cycles.low[at], cycles.high[at]) },
      { title: "runs", kind: "number", value: (at) => cycles.runs[at]?.length ?? 0 },
    ]} />
    ${promoted.length > rows && html`<p><button type="button" onClick=${() => choose({ rows: rows + ROWS })}>Show ${ROWS} more</button></p>`}`;
}

const SAVED = ["domain", "cycle", "time", "generation", "outcome", "kind", "x", "score", "low", "high", "control", "runs"];

function saved({ cycles, children }, { cycle, child, x, value, low, high }) {
  const head = [cycles.domain, cycles.id, cycles.time, cycles.generation, cycles.outcome].map((column) => column[cycle]);
  return child >= 0
    ? [...head, `trial: ${children.operator[child]}`, x, value, "", "", "", ""]
    : [...head, "attempt", x, value, low, high, cycles.control[cycle], (cycles.runs[cycle] ?? []).join(" ")];
}
