// The tree: every cycle with its trials, every attempt with what became of it, and the champion they grew from.
import { Download, Legend, Tip, WithColumns, fit, useColours, useWidth } from "../chart.js";
import { lab } from "../data.js";
import { Choice, Experiment, Loading, Notice, Outcome, Table, html, useAsked } from "../elements.js";
import { childrenOf, cyclesOf } from "../filters.js";
import { between, counted, moment, percent, points, short } from "../format.js";
import { LEFT, laneRow, paint } from "../paint.js";
import { choose, go, href, route } from "../route.js";
import { operatorOf, shadesOf } from "../shade.js";
import { KIND, treeOf } from "../tree.js";
import { select, useEffect, useMemo, useRef, useState, zoom, zoomIdentity } from "../../vendor.js";

const ROWS = 100;
const WIDEST = 150;  // pixels of a column
const REACH = 14;    // pixels between the pointer and what it means
const PAN = 120;
const ROOM = 50;     // pixels beside the columns
const COLOURS = [["outcome", "outcome"], ["fitness", "score"], ["operator", "mutation"]];

/** The tree of generations and trials. */
export const Lineage = () => html`<${WithColumns} part=${Tree} />`;

function Tree({ all }) {
  const { found: tree, failed } = useAsked(() => treeOf(all), [all]);
  if (failed) return html`<${Notice} title="The tree can't be drawn.">${failed}</${Notice}>`;
  return tree ? html`<${Drawn} all=${all} tree=${tree} />` : html`<${Loading} />`;
}

function Drawn({ all, tree }) {
  const { params } = route.value;
  const { domain, operator, outcome } = params;
  const colour = COLOURS.some(([name]) => name === params.colour) ? params.colour : "outcome";
  const lanes = useMemo(() => tree.lanes.filter((lane) => !domain || lane.domain === domain), [tree, domain]);
  const lit = useMemo(() => litOf(all, tree), [tree, domain, operator, outcome]);
  const colours = useColours();
  const shades = useMemo(() => shadesOf(all, tree, colour, colours), [tree, colour, colours]);
  const shown = useMemo(() => cyclesOf(all), [all, domain, operator, outcome]);
  const attempts = useMemo(() => generationsOf(all, shown), [shown]);
  if (lanes.length === 0) return html`<p class="soft">There is no cycle of the domain “${domain}”.</p>`;
  return html`
    <p class="hint">Time runs from left to right along the champion's line. A dot above the line was ahead of the champion that was
      retrained beside it, a dot below was behind, in percentage points: trials on validation data, attempts on the holdout.</p>
    <${Canvas} all=${all} tree=${tree} lanes=${lanes} lit=${lit} colours=${colours} shades=${shades} colour=${colour} />
    <${Legend} of=${legendOf(all, tree, shades, colour)} />
    <h2>Generations</h2>
    <p class="hint">${counted(attempts.length, "generation")}${attempts.length > ROWS ? ", the newest first" : ""}; ${counted(shown.length, "cycle")} in all.
      ${" "}<${Download} name="aams-lineage.csv" names=${SAVED} count=${shown.length} row=${(at) => saved(all, shown[at])} /></p>
    <${Generations} all=${all} attempts=${attempts} />`;
}

/** The canvas with all that moves it. */
function Canvas({ all, tree, lanes, lit, colours, shades, colour }) {
  const [box, width] = useWidth();
  const canvas = useRef(null);
  const [focus, setFocus] = useState(-1);
  const height = lanes.length === 1 ? 420 : 240;
  const longest = Math.max(...lanes.map((lane) => lane.cycles.length));
  const step = Math.min(WIDEST, Math.max(1, width - ROOM) / (longest + 0.5));
  const { at, scale, pan, whole } = useZoom(canvas, width, step, longest);
  const titles = useMemo(() => lanes.map((lane) => titleOf(all, lane)), [lanes]);
  const view = {
    lanes, width, height, step: step * at.k, shift: at.x, colours, ...shades, lit, focus, cycles: all.cycles, titles,
    crossed: (node) => operatorOf(all, tree, node).includes("crossover"),
  };
  useEffect(() => {
    if (!width) return;
    // By then the reader may have gone to another view.
    const frame = requestAnimationFrame(() => canvas.current && paint(fit(canvas.current, width, height * lanes.length), tree, view));
    return () => cancelAnimationFrame(frame);
  }, [width, height, lanes, at, colours, shades, lit, focus]);
  const spot = focus >= 0 ? placeOf(tree, view, focus) : null;
  const walk = (by) => {
    const next = neighbour(lanes, focus, by);
    if (next === undefined) return;
    setFocus(next);
    const { left } = placeOf(tree, view, next);
    if (left < 20 || left > width - 20) pan(width / 2 - left);
  };
  const open = (node) => node >= 0 && go(href("experiment", {}, all.cycles.id[tree.cycle[node]]));
  const keys = {
    "+": () => scale(1.5), "=": () => scale(1.5), "-": () => scale(1 / 1.5), 0: whole, ArrowLeft: () => pan(PAN), ArrowRight: () => pan(-PAN),
    ArrowUp: () => walk(-1), ArrowDown: () => walk(1), Escape: () => setFocus(-1), Enter: () => open(focus),
  };
  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  };
  return html`
    <div class="steer">
      <${Choice} label="colour" value=${colour} options=${COLOURS} choose=${(value) => choose({ colour: value === "outcome" ? "" : value })} />
      <span class="buttons" role="group" aria-label="Zoom">
        <button type="button" aria-label="Zoom in" onClick=${keys["+"]}>+</button>
        <button type="button" aria-label="Zoom out" onClick=${keys["-"]}>−</button>
        <button type="button" aria-label="Earlier" onClick=${keys.ArrowLeft}>←</button>
        <button type="button" aria-label="Later" onClick=${keys.ArrowRight}>→</button>
        <button type="button" onClick=${whole}>All</button>
      </span>
      <span class="soft keys">Drag to move, <kbd>Ctrl</kbd> and wheel to zoom; <kbd>↑</kbd> <kbd>↓</kbd> go through generations, <kbd>Enter</kbd> opens one.</span>
    </div>
    <div class=${`chart tree${focus >= 0 ? " opens" : ""}`} ref=${box} aria-busy=${width === 0}>
      <canvas role="img" tabindex="0" aria-label=${labelOf(all, lanes)} ref=${canvas} onKeyDown=${press}
        onPointerMove=${(event) => event.buttons || setFocus(under(tree, view, event))} onPointerLeave=${() => setFocus(-1)}
        onClick=${(event) => open(under(tree, view, event))}></canvas>
      ${spot && html`<${Tip} left=${spot.left} top=${spot.top} width=${width}><${Said} all=${all} tree=${tree} node=${focus} /><//>`}
    </div>`;
}

/** Zoom and pan along the time; where the reader is stands in the address as a window of columns: 120-480. */
function useZoom(canvas, width, step, longest) {
  const [at, setAt] = useState(zoomIdentity);
  const use = useRef(null);
  useEffect(() => {
    if (!width) return;
    let writing;
    const keep = (transform) => () => choose({ span: spanOf(transform, step, width) });
    const behaviour = zoom().scaleExtent([1, Math.max(1, WIDEST / step)]).extent([[0, 0], [width, 1]])
      .constrain(({ k, x }) => zoomIdentity.translate(Math.min(0, Math.max(x, width - ROOM - (longest + 0.5) * step * k)), 0).scale(k))
      .filter((event) => !event.button && (event.type !== "wheel" || event.ctrlKey || event.metaKey)) // else the page scrolls
      .wheelDelta((event) => Math.max(-0.5, Math.min(0.5, -0.02 * event.deltaY)));
    const selected = select(canvas.current).call(behaviour).on("dblclick.zoom", null);
    behaviour.transform(selected, transformOf(route.value.params.span, step, width));
    setAt(selected.property("__zoom"));
    behaviour.on("zoom", ({ transform }) => {
      setAt(transform);
      clearTimeout(writing);
      writing = setTimeout(keep(transform), 300);
    });
    use.current = { behaviour, selected };
    return () => (clearTimeout(writing), selected.on(".zoom", null));
  }, [width, step, longest]);
  const act = (name, ...how) => use.current?.behaviour[name](use.current.selected, ...how);
  return {
    at,
    scale: (factor) => act("scaleBy", factor),
    pan: (pixels) => act("translateBy", pixels / at.k, 0),
    whole: () => act("transform", zoomIdentity),
  };
}

function spanOf({ k, x }, step, width) {
  const column = (pixel) => Math.round((pixel - x - LEFT) / (step * k));
  return k > 1.0001 ? `${Math.max(0, column(LEFT))}-${column(width)}` : "";
}

function transformOf(span, step, width) {
  const [from, to] = (span ?? "").split("-").map(Number);
  if (!(to > from && from >= 0)) return zoomIdentity;
  const k = Math.min(WIDEST / step, Math.max(1, (width - LEFT) / ((to - from) * step)));
  return zoomIdentity.translate(-from * step * k, 0).scale(k);
}

/** Where a node is drawn. */
function placeOf(tree, view, node) {
  const row = laneRow(tree, view.lanes.findIndex((lane) => lane.number === tree.lane[node]), view.height);
  return { left: LEFT + view.shift + tree.x[node] * view.step, top: row.spine - tree.y[node] * row.unit };
}

/** The node under the pointer, -1 for none. */
function under(tree, view, event) {
  const { left, top } = event.currentTarget.getBoundingClientRect();
  const down = event.clientY - top;
  const number = Math.floor(down / view.height);
  if (!view.lanes[number]) return -1;
  const row = laneRow(tree, number, view.height);
  const across = (event.clientX - left - LEFT - view.shift) / view.step;
  return tree.near(view.lanes[number].number, across, (row.spine - down) / row.unit, REACH / view.step, REACH / row.unit);
}

/** The attempt before or after another one. */
function neighbour(lanes, node, by) {
  const nodes = lanes.flatMap((lane) => lane.attempts);
  const now = nodes.indexOf(node);
  return now < 0 ? nodes.at(by > 0 ? 0 : -1) : nodes[Math.min(nodes.length - 1, Math.max(0, now + by))];
}

/** What the filters let pass, of every node. */
function litOf(all, tree) {
  const cycle = new Uint8Array(all.cycles.id.length), child = new Uint8Array(all.children.cycle?.length ?? 0);
  for (const at of cyclesOf(all)) cycle[at] = 1;
  for (const at of childrenOf(all)) child[at] = 1;
  const lit = new Uint8Array(tree.count);
  for (let node = 0; node < tree.count; node++) lit[node] = tree.child[node] < 0 ? cycle[tree.cycle[node]] : child[tree.child[node]];
  return lit;
}

/** What a domain's lane is headed by. */
function titleOf(all, lane) {
  const champion = lane.line.at(-1);
  const score = champion ? scoreOf(all, lane, champion) : null;
  return [lane.domain, [
    ...(champion ? [`champion ${champion.generation}${score === null ? "" : `, ${percent(score)}`}`] : []),
    counted(lane.cycles.length, "cycle"), counted(lane.attempts.length, "generation"),
  ]];
}

/** A champion's score; a rollback's is that of the generation it went back to. */
function scoreOf(all, lane, { generation }) {
  const node = lane.line.find((one) => one.generation === generation);
  return all.cycles.fitness[node.cycle];
}

/** What the drawing shows, in words. */
function labelOf(all, lanes) {
  const line = (lane) => lane.line.slice(-12).map((one) => one.generation).join(", ") || "none yet";
  const parts = lanes.map((lane) => `${titleOf(all, lane).flat().join(", ")}; the last champions: ${line(lane)}`);
  return `Lineage. ${parts.join(". ")}. The table below lists the generations.`;
}

function legendOf(all, tree, shades, colour) {
  const kinds = new Set(tree.lanes.flatMap((lane) => lane.attempts).map((node) => tree.kind[node]));
  const own = (name) => (colour === "outcome" ? name : "soft");
  return [
    ["line", "accent", "the champion's line"],
    ...(tree.lanes.some((lane) => lane.recalls.length) ? [["dashes", "no", "rolled back"]] : []),
    ["disc", own("yes"), "accepted"],
    ...(kinds.has(KIND.REJECTED) ? [["tombstone", own("no"), "rejected"]] : []),
    ...(kinds.has(KIND.PLACEBO) ? [["diamond", own("four"), "placebo"]] : []),
    ...(kinds.has(KIND.WAITING) ? [["ring", own("wait"), "open or waiting"]] : []),
    ...(kinds.has(KIND.ENDED) ? [["square", "soft", "declined, expired or abandoned"]] : []),
    ["small", "soft", "trial"],
    ...((all.children.operator ?? []).some((one) => one?.includes("crossover")) ? [["strands", "soft", "crossover, from two parents"]] : []),
    ...(tree.kind.includes(KIND.UNSCORED) ? [["cross", "soft", "trial without a score"]] : []),
    ...shades.words,
  ];
}

/** What the pointer is on. */
function Said({ all, tree, node }) {
  const { cycles, children } = all;
  const cycle = tree.cycle[node], child = tree.child[node];
  const name = cycles.generation[cycle] ? `${cycles.domain[cycle]}/${cycles.generation[cycle]}` : cycles.id[cycle];
  const operator = operatorOf(all, tree, node);
  const change = child < 0 ? lab.value.summary.rows[cycles.id[cycle]]?.change : "";
  if (child >= 0) {
    const value = children.validation[child], control = cycles.screen[cycle];
    return html`<strong>A trial of ${name}</strong><br />${operator}<br />
      ${value === null ? children.status[child] : html`${percent(value)} on validation, ${points(control === null ? null : value - control)} points against the champion`}<br />
      <span class="soft">${short(children.parameters[child])} parameters${tree.taken.includes(node) ? ", taken to the holdout" : ""}</span>`;
  }
  const isHidden = cycles.placebo[cycle] && cycles.outcome[cycle] !== "placebo";
  const gain = cycles.gain[cycle] === null ? "" : `, ${points(cycles.gain[cycle])} points (95 %: ${between(cycles.low[cycle], cycles.high[cycle])})`;
  return html`<strong>${name}</strong> <${Outcome} of=${cycles.outcome[cycle]} />${isHidden ? " (a placebo)" : ""}<br />
    ${cycles.fitness[cycle] !== null && html`${percent(cycles.fitness[cycle])}${gain}<br />`}
    ${(change || operator) && html`${change || operator}<br />`}
    <span class="soft">${moment(cycles.time[cycle])}${cycles.parent[cycle] ? `, from ${cycles.parent[cycle]}` : ", the baseline"}</span>`;
}

/** Generations among cycles, the newest first. */
const generationsOf = (all, shown) => shown.filter((at) => all.cycles.generation[at] && !all.cycles.rollback[at]).reverse();

/** The same in words: a table that grows. */
function Generations({ all, attempts }) {
  const { cycles } = all;
  const rows = Math.max(ROWS, Number(route.value.params.rows) || 0);
  return html`
    <${Table} caption="Generations, the newest first" rows=${attempts.slice(0, rows)} columns=${[
      { title: "generation", value: (at) => html`<${Experiment} cycle=${cycles.id[at]}>${cycles.domain[at]}/${cycles.generation[at]}<//>` },
      { title: "time (UTC)", kind: "time", value: (at) => moment(cycles.time[at]) },
      { title: "parent", value: (at) => cycles.parent[at] || "none" },
      { title: "outcome", value: (at) => html`<${Outcome} of=${cycles.outcome[at]} />` },
      { title: "score", kind: "number", value: (at) => percent(cycles.fitness[at]) },
      { title: "parent, retrained", kind: "number", value: (at) => percent(cycles.control[at]) },
      { title: "gain", kind: "number", value: (at) => points(cycles.gain[at]) },
      { title: "95 % interval", kind: "number", value: (at) => between(cycles.low[at], cycles.high[at]) },
      { title: "runs", kind: "number", value: (at) => cycles.runs[at]?.length ?? 0 },
    ]} />
    ${attempts.length > rows && html`<p><button type="button" onClick=${() => choose({ rows: rows + ROWS })}>Show ${ROWS} more</button>
      <span class="soft"> ${rows} of ${counted(attempts.length, "generation")}</span></p>`}`;
}

const SAVED = ["domain", "cycle", "time", "generation", "parent", "outcome", "placebo", "rollback", "score", "control", "gain", "low", "high"];

function saved({ cycles }, at) {
  return [cycles.domain, cycles.id, cycles.time, cycles.generation, cycles.parent, cycles.outcome, cycles.placebo, cycles.rollback, cycles.fitness,
    cycles.control, cycles.gain, cycles.low, cycles.high].map((column) => column[at]);
}
