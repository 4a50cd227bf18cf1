// The drawing of the lineage: only what is in view, in less detail the further away it is.
import { FONT, dot, inkOf, specks, thinner } from "./chart.js";
import { moment } from "./format.js";
import { KIND, bend } from "./tree.js";

export const LEFT = 14;
const HEAD = 34, FOOT = 24;
const STEMS = 7;    // pixels of a column from which branches are drawn
const NAMES = 40;   // and from which every attempt is named
const SPECK = 1.4;  // pixels below which a trial is a speck
const LEVELS = [-0.3, -0.1, -0.03, -0.01, 0.01, 0.03, 0.1, 0.3];
const MARKS = {
  [KIND.ACCEPTED]: "disc", [KIND.REJECTED]: "tombstone", [KIND.PLACEBO]: "diamond",
  [KIND.WAITING]: "ring", [KIND.ENDED]: "square",
};

/** How large an attempt is drawn. */
const sizeOf = (step) => Math.min(8, 2.6 + 0.13 * step);

/** Heights on the canvas of one lane. @param {import("./tree.js").Tree} tree */
export function laneRow(tree, number, height) {
  const top = number * height + HEAD;
  const unit = (height - HEAD - FOOT) / (tree.high - tree.rail);
  return { top, unit, spine: top + tree.high * unit, bottom: (number + 1) * height };
}

/** Draw the lanes.
 * @param {CanvasRenderingContext2D} context @param {import("./tree.js").Tree} tree
 * @param {{lanes: import("./tree.js").Lane[], width: number, height: number, step: number, shift: number,
 *   colours: Record<string, string>, palette: string[], classes: Uint8Array, lit: Uint8Array, focus: number,
 *   cycles: Record<string, any[]>, titles: string[]}} view `height` of a lane; `step` pixels of a column; `lit` what the filters let pass */
export function paint(context, tree, view) {
  context.font = FONT;
  context.textBaseline = "middle";
  for (const [number, lane] of view.lanes.entries()) {
    const row = laneRow(tree, number, view.height);
    const from = Math.max(0, Math.floor(-(view.shift + LEFT) / view.step) - 1);
    const to = Math.min(lane.cycles.length, Math.ceil((view.width - view.shift) / view.step) + 1);
    const place = { row, x: (column) => LEFT + view.shift + column * view.step, y: (level) => row.spine - level * row.unit };
    levels(context, tree, view, place);
    times(context, view, lane, place, from, to);
    if (view.step >= STEMS) stems(context, tree, view, lane, place, from, to);
    trials(context, tree, view, lane, place, from, to);
    spine(context, view, lane, place);
    attempts(context, tree, view, lane, place, from, to);
    names(context, tree, view, lane, place, from, to);
    numbers(context, tree, view, place);
    title(context, view, number, row);
  }
  if (view.focus >= 0) ring(context, tree, view);
}

/** Leads in percentage points: a line below everything, and its number above everything. */
function levels(context, tree, view, { y }) {
  context.strokeStyle = view.colours.line;
  context.lineWidth = 1;
  for (const level of levelsOf(tree)) line(context, 0, rounded(y(bend(level))), view.width, rounded(y(bend(level))));
}

function numbers(context, tree, view, { y }) {
  context.textAlign = "right";
  let before = -Infinity;
  for (const level of levelsOf(tree)) {
    const at = rounded(y(bend(level))) - 7;
    if (Math.abs(at - before) < 14) continue;
    const unit = before === -Infinity ? " points" : "";
    written(context, view, `${level > 0 ? "+" : "−"}${Math.abs(100 * level)}${unit}`, view.width - 2, at, view.colours.soft);
    before = at;
  }
}

const levelsOf = (tree) => LEVELS.filter((level) => bend(level) <= tree.high && bend(level) >= tree.low);
const rounded = (pixel) => Math.round(pixel) + 0.5;

function times(context, view, lane, { row, x }, from, to) {
  context.fillStyle = view.colours.soft;
  context.strokeStyle = view.colours.line;
  context.textAlign = "left";
  line(context, 0, row.bottom - FOOT + 0.5, view.width, row.bottom - FOOT + 0.5);
  let free = 0, day = "";
  for (let column = from; column < to; column += Math.max(1, Math.floor(4 / view.step))) {
    const at = x(column);
    if (at < free || at > view.width - 80) continue;
    const text = moment(view.cycles.time[lane.cycles[column]]);
    const shown = text.startsWith(day) && day ? text.slice(11) : text.slice(0, 10);
    day = text.slice(0, 10);
    context.fillText(shown, at, row.bottom - FOOT / 2);
    free = at + context.measureText(shown).width + 60;
  }
}

/** From the spine a branch to every trial, and from the trial that was taken one to its attempt. */
function stems(context, tree, view, lane, { x, y }, from, to) {
  context.lineWidth = 1;
  for (const lit of [0, 1]) {
    context.globalAlpha = (lit ? 1 : 0.25) * Math.min(0.55, 0.2 + view.step / 100);
    context.strokeStyle = view.colours.soft;
    context.beginPath();
    for (let node = lane.start[from]; node < lane.start[to]; node++) {
      if (tree.kind[node] !== KIND.TRIAL || view.lit[node] !== lit) continue;
      const base = x(Math.floor(tree.x[node]) + 0.02), across = x(tree.x[node]), level = y(tree.y[node]);
      context.moveTo(base, y(0));
      context.quadraticCurveTo(across, y(0), across, level);
      if (view.crossed(node)) { // its other parent: a second strand
        context.moveTo(x(Math.floor(tree.x[node]) - 0.4), y(0));
        context.quadraticCurveTo(across, y(0) + (level - y(0)) * 0.15, across, level);
      }
    }
    context.stroke();
    context.globalAlpha = lit ? 1 : 0.15;
    for (const attempt of lane.attempts) {
      const column = Math.floor(tree.x[attempt]);
      if (column < from || column >= to || view.lit[attempt] !== lit) continue;
      const taken = tree.taken[attempt];
      if (taken < 0) continue;
      const begin = [x(tree.x[taken]), y(tree.y[taken])];
      context.strokeStyle = view.palette[view.classes[attempt]];
      context.lineWidth = 1.5;
      const end = [x(tree.x[attempt]), y(tree.y[attempt])];
      const bow = (begin[0] + end[0]) / 2;
      context.beginPath();
      context.moveTo(...begin);
      context.bezierCurveTo(bow, begin[1], bow, end[1], ...end);
      context.stroke();
    }
  }
  context.globalAlpha = 1;
}

function trials(context, tree, view, lane, place, from, to) {
  const size = Math.min(4.5, 0.9 + 0.1 * view.step);
  if (size < SPECK) return dust(context, tree, view, lane, place, from, to);
  context.lineWidth = 1;
  for (const lit of [0, 1]) {
    for (let node = lane.start[from]; node < lane.start[to]; node++) {
      if (tree.kind[node] > KIND.TRIAL || view.lit[node] !== lit) continue;
      const isScored = tree.kind[node] === KIND.TRIAL;
      context.fillStyle = context.strokeStyle = view.palette[view.classes[node]];
      context.globalAlpha = lit ? (isScored ? 0.9 : 0.6) : 0.1;
      dot(context, place.x(tree.x[node]), place.y(tree.y[node]), isScored ? size : size * 0.7, isScored ? "disc" : "cross");
    }
  }
  context.globalAlpha = 1;
}

/** Trials from far away. */
function dust(context, tree, view, lane, { row, x, y }, from, to) {
  const ratio = devicePixelRatio || 1, top = row.top - HEAD;
  const layer = specks(view.width * ratio, view.height * ratio, 1.6 * ratio);
  const inks = view.palette.map((colour) => [inkOf(colour, 0.1), inkOf(colour, 0.65)]);
  for (let node = lane.start[from]; node < lane.start[to]; node++) {
    if (tree.kind[node] <= KIND.TRIAL) layer.put(x(tree.x[node]) * ratio, (y(tree.y[node]) - top) * ratio, inks[view.classes[node]][view.lit[node]]);
  }
  layer.onto(context, 0, top, view.width, view.height);
}

function spine(context, view, lane, { row, x }) {
  context.strokeStyle = view.colours.accent;
  context.lineWidth = 3;
  const end = lane.cycles.length;
  for (const one of lane.line) {
    const from = x(one.column + 0.9), to = x((one.until ?? end) + (one.until === null ? 0.2 : 0.9));
    if (to < 0 || from > view.width) continue;
    context.globalAlpha = one.revoked ? 0.4 : 1;
    line(context, Math.max(from, -10), row.spine, Math.min(to, view.width + 10), row.spine);
  }
  context.globalAlpha = 1;
  context.strokeStyle = view.colours.no;
  context.lineWidth = 1.5;
  context.setLineDash([4, 3]);
  for (const { column, to } of lane.recalls) { // an arc back to the champion that is one again
    const right = x(column + 0.9), left = x(to.column + 0.9);
    if (right < 0 || left > view.width) continue;
    const rise = Math.min(row.spine - row.top - 4, 14 + (right - left) * 0.12);
    context.beginPath();
    context.moveTo(right, row.spine);
    context.bezierCurveTo(right, row.spine - rise * 1.3, left, row.spine - rise * 1.3, left, row.spine);
    context.stroke();
  }
  context.setLineDash([]);
}

function attempts(context, tree, view, lane, { row, x, y }, from, to) {
  const size = sizeOf(view.step);
  const fresh = thinner(view.width, view.height, size < 4 ? 3 : 1);
  for (let node = lane.start[from]; node < lane.start[to]; node++) {
    const kind = tree.kind[node];
    if (kind <= KIND.TRIAL) continue;
    const across = x(tree.x[node]), level = y(tree.y[node]);
    if (kind !== KIND.ACCEPTED && !fresh(across, level - row.top + HEAD)) continue;
    context.globalAlpha = view.lit[node] ? 1 : 0.15;
    const colour = view.palette[view.classes[node]];
    context.fillStyle = context.strokeStyle = colour;
    context.lineWidth = size < 4 ? 1.2 : 2;
    if (kind === KIND.EVENT) line(context, across, level - size * 0.7, across, level + size * 0.7);
    else if (kind === KIND.ACCEPTED) crown(context, view, across, level, Math.max(4, size));
    else {
      if (MARKS[kind] === "diamond" || MARKS[kind] === "ring") knock(context, view, across, level, size, MARKS[kind]);
      context.strokeStyle = colour;
      dot(context, across, level, size, MARKS[kind]);
    }
  }
  context.globalAlpha = 1;
}

/** A champion stands out from the spine by a rim of paper. */
function crown(context, view, across, level, size) {
  const colour = context.fillStyle;
  context.fillStyle = view.colours.paper;
  dot(context, across, level, size + 2, "disc");
  context.fillStyle = colour;
  dot(context, across, level, size, "disc");
}

/** What is hollow hides what is below it. */
function knock(context, view, across, level, size, kind) {
  const colour = context.fillStyle;
  context.fillStyle = view.colours.paper;
  context.strokeStyle = view.colours.paper;
  dot(context, across, level, kind === "diamond" ? size * 0.7 : size, "disc");
  context.fillStyle = colour;
}

/** Names of the champions, the newest first, where there is room; of every attempt when there is plenty. */
function names(context, tree, view, lane, { row, x, y }, from, to) {
  context.textAlign = "center";
  const taken = [];
  for (let at = lane.line.length - 1; at >= 0; at--) {
    const one = lane.line[at];
    const middle = x(one.column + 0.9);
    if (one.column < from || one.column >= to || !one.generation) continue;
    const half = context.measureText(one.generation).width / 2;
    if (middle < half || middle > view.width + half || taken.some(([left, right]) => middle - half < right && middle + half > left)) continue;
    taken.push([middle - half - 6, middle + half + 6]);
    written(context, view, one.generation, middle, row.spine - (sizeOf(view.step) + 10), one.revoked ? view.colours.soft : view.colours.ink);
  }
  if (view.step < NAMES) return;
  for (const node of lane.attempts) {
    const column = Math.floor(tree.x[node]);
    if (column < from || column >= to || tree.kind[node] === KIND.ACCEPTED) continue;
    const level = y(tree.y[node]), away = sizeOf(view.step) + 9;
    const below = tree.y[node] < 0;
    written(context, view, view.cycles.generation[tree.cycle[node]], x(tree.x[node]), level + (below ? away : -away), view.colours.soft);
  }
}

/** Words that stay legible over lines. */
function written(context, view, text, across, level, colour) {
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = view.colours.paper;
  context.strokeText(text, across, level);
  context.fillStyle = colour;
  context.fillText(text, across, level);
}

function title(context, view, number, row) {
  context.textAlign = "left";
  let [name, words] = view.titles[number];
  context.font = FONT.replace("12px", "600 14px");
  written(context, view, name, 0, row.top - HEAD + 12, view.colours.ink);
  const right = context.measureText(name).width + 10;
  context.font = FONT;
  while (words.length > 1 && right + context.measureText(words.join(" · ")).width > view.width) words = words.slice(0, -1);
  written(context, view, words.join(" · "), right, row.top - HEAD + 13, view.colours.soft);
}

function ring(context, tree, view) {
  const number = view.lanes.findIndex((lane) => lane.number === tree.lane[view.focus]);
  if (number < 0) return;
  const row = laneRow(tree, number, view.height);
  context.strokeStyle = view.colours.ink;
  context.lineWidth = 1.5;
  dot(context, LEFT + view.shift + tree.x[view.focus] * view.step, row.spine - tree.y[view.focus] * row.unit, sizeOf(view.step) + 3, "ring");
}

function line(context, left, top, right, bottom) {
  context.beginPath();
  context.moveTo(left, top);
  context.lineTo(right, bottom);
  context.stroke();
}
