// Parallel coordinates: an axis for each field, a line for each experiment. Lines on a canvas, axes and brushes in SVG.
import { scaleLinear, scaleLog, useEffect, useRef } from "../vendor.js";
import { fit, inSlices, useColours, useWidth } from "./chart.js";
import { html } from "./elements.js";
import { roundTicks } from "./scatter.js";

const TOP = 44, TALL = 360, STUB = 34, EDGE = 46;
const LEAST_GAP = 92;
const WIDE = 20;
const FEW = 8;
const MOST_STOPS = 60;
const SHADES = 8;
const BINS = 1000;
const OUT = 1, UNSCORED = 2, SCORED = 3;
const FINE = 256, COARSE = 128, MANY = 20_000;
const BATCH = 400;
const NONE = "default";
const TICK = 15;

/** @typedef {{name: string, title: string, position: Float32Array, without: number, words: string[] | null, stops: number[], ticks: number[],
 *   to: (value: number) => number, from: (position: number) => number, text: (value: number) => string, empty: string}} Axis
 * `position` of each experiment lies in 0 … 1, NaN where it has none; `without` counts those.
 * @typedef {{low: number, high: number} | {words: string[]}} Brush */

const plain = (value) => String(Number(value.toPrecision(3)));

/** An axis of numbers, logarithmic where they are far apart. @returns {Axis} */
export function numberAxis(name, title, values, text = plain, empty = NONE) {
  let low = Infinity, high = -Infinity, without = 0;
  const distinct = new Set();
  for (const value of values) {
    if (value === null) without++;
    else {
      low = Math.min(low, value), high = Math.max(high, value);
      if (distinct.size <= MOST_STOPS) distinct.add(value);
    }
  }
  if (distinct.size === 0) (low = 0), (high = 1);
  if (low === high) (low -= Math.abs(low) * 0.1 || 1), (high += Math.abs(high) * 0.1 || 1);
  const scale = low > 0 && high / low > WIDE ? scaleLog([low, high], [0, 1]) : scaleLinear([low, high], [0, 1]);
  const stops = distinct.size <= MOST_STOPS
    ? [...distinct].sort((one, other) => one - other)
    : Array.from({ length: MOST_STOPS + 1 }, (_, at) => Number(scale.invert(at / MOST_STOPS).toPrecision(4)));
  const position = Float32Array.from(values, (value) => (value === null ? NaN : scale(value)));
  return { name, title, position, without, words: null, stops, to: scale, from: (at) => scale.invert(at), text, empty, ticks: apart(distinct.size <= FEW ? stops : roundTicks(scale, 6), scale) };
}

/** Ticks that don't touch each other. */
function apart(ticks, scale) {
  const kept = [];
  for (const value of ticks) if (kept.length === 0 || (scale(value) - scale(kept[kept.length - 1])) * TALL >= TICK) kept.push(value);
  return kept;
}

/** An axis of words, in the order of the alphabet; a field that a spec leaves out has its default, which is a word too. @returns {Axis} */
export function wordAxis(name, title, values) {
  const named = new Set();
  for (const value of values) named.add(value === null ? NONE : String(value));
  const words = [...named].sort((one, other) => Number(one === NONE) - Number(other === NONE) || one.localeCompare(other));
  const places = new Map(words.map((word, at) => [word, (at + 0.5) / words.length]));
  const position = Float32Array.from(values, (value) => places.get(value === null ? NONE : String(value)));
  return { name, title, position, without: 0, words, stops: [], to: (at) => (at + 0.5) / words.length, from: (at) => at, text: String, empty: "", ticks: words.map((_, at) => at) };
}

/** Whether a brush lets an experiment pass. @param {Axis} axis @param {Brush} brush @returns {(at: number) => boolean} */
export function passes(axis, brush) {
  const { position } = axis;
  if (axis.words) {
    const wanted = new Set(brush.words);
    const isIn = axis.words.map((word) => wanted.has(word));
    return (at) => isIn[Math.round(position[at] * isIn.length - 0.5)];
  }
  const low = axis.to(brush.low) - 1e-5, high = axis.to(brush.high) + 1e-5;
  return (at) => position[at] >= low && position[at] <= high;
}

/** What a brush from one position to another means, rounded as it is written in the address. @returns {Brush | null} */
export function brushed(axis, one, other) {
  const [low, high] = [Math.max(0, Math.min(one, other)), Math.min(1, Math.max(one, other))];
  if (high - low < 0.01) return null;
  // At an end it is the end itself: a rounded one could leave out the very best.
  if (!axis.words) return { low: low > 0 ? rounded(axis.from(low)) : axis.from(0), high: high < 1 ? rounded(axis.from(high)) : axis.from(1) };
  const words = axis.words.filter((_, at) => axis.to(at) >= low && axis.to(at) <= high);
  return words.length && words.length < axis.words.length ? { words } : null;
}

const rounded = (value) => Number(value.toPrecision(4));

/** @param {{axes: Axis[], count: number, brushes: Map<string, Brush>, isShown: (at: number) => boolean, label: string,
 *   drag: (axis: Axis, brush: Brush | null) => void, drop: () => void}} props the last axis colours the lines */
export function Parallel({ axes, count, brushes, isShown, label, drag, drop }) {
  const [element, outer] = useWidth();
  const canvas = useRef(null);
  const start = useRef(null);
  const colours = useColours();
  const gap = Math.max(LEAST_GAP, (outer - 2 * EDGE) / Math.max(1, axes.length - 1));
  const width = Math.round(2 * EDGE + gap * (axes.length - 1));
  useEffect(() => {
    if (!outer) return;
    let wanted = true;
    draw(canvas.current, { axes, count, isShown, width, gap, shades: shadesOf(colours), soft: colours.soft, faint: colours.line }, () => wanted);
    return () => void (wanted = false);
  }, [axes, isShown, width, outer > 0, colours]);

  const positionOf = (event) => (TOP + TALL - (event.clientY - canvas.current.getBoundingClientRect().top)) / TALL;
  const down = (axis) => (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    start.current = positionOf(event);
  };
  const move = (axis) => (event) => start.current !== null && drag(axis, brushed(axis, start.current, positionOf(event)));
  const up = (axis) => (event) => {
    if (start.current === null) return;
    if (!brushed(axis, start.current, positionOf(event))) drag(axis, null); // a click takes the brush away
    start.current = null;
    drop();
  };
  return html`<div class="parallel" ref=${element} aria-busy=${outer === 0} tabindex="0" role="region" aria-label="Parallel coordinates"><div class="chart">
    <canvas ref=${canvas} role="img" aria-label=${label}></canvas>
    ${outer > 0 && html`<svg width=${width} height=${TOP + TALL + STUB} aria-hidden="true">
      ${axes.map((axis, at) => html`<${Line} key=${axis.name} axis=${axis} x=${EDGE + at * gap} room=${gap} isOdd=${at % 2 === 1} brush=${brushes.get(axis.name)}
        isLast=${at === axes.length - 1} down=${down(axis)} move=${move(axis)} up=${up(axis)} />`)}
    </svg>`}
  </div></div>`;
}

const yOf = (position) => TOP + TALL * (1 - position);

function Line({ axis, x, room, isOdd, isLast, brush, down, move, up }) {
  const most = Math.floor((room - 12) / 6.2);
  const cut = (text) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const side = isLast ? -1 : 1;
  return html`<g class=${isLast ? "axis outcome-axis" : "axis"}>
    <text class="title" x=${x} y=${isOdd ? 12 : 28} text-anchor="middle"><title>${axis.title}</title>${cut(axis.title)}</text>
    <line x1=${x} x2=${x} y1=${TOP} y2=${TOP + TALL} />
    ${brush && !axis.words && html`<rect class="brush" x=${x - 8} width="16" y=${yOf(axis.to(brush.high))} height=${Math.max(3, yOf(axis.to(brush.low)) - yOf(axis.to(brush.high)))} rx="3" />`}
    ${axis.ticks.map((value) => html`<g class=${axis.words && brush && brush.words.includes(axis.words[value]) ? "tick taken" : "tick"}>
      <line x1=${x - 4} x2=${x + 4} y1=${yOf(axis.to(value))} y2=${yOf(axis.to(value))} />
      <text x=${x + side * 8} y=${yOf(axis.to(value)) + 4} text-anchor=${isLast ? "end" : "start"}>${cut(axis.words ? axis.words[value] : axis.text(value))}</text></g>`)}
    ${axis.without > 0 && html`<g class="stub"><line x1=${x - 6} x2=${x + 6} y1=${TOP + TALL + STUB / 2} y2=${TOP + TALL + STUB / 2} />
      <text x=${x} y=${TOP + TALL + STUB - 3} text-anchor="middle">${axis.empty}</text></g>`}
    <rect class="handle" x=${x - 18} width="36" y=${TOP - 8} height=${TALL + 16} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up} />
  </g>`;
}

/** Colours from the lowest rank to the highest, between what recedes and what stands out. */
export function shadesOf({ line, soft, accent }) {
  const parts = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
  const mixed = (one, other, share) => parts(one).map((part, at) => Math.round(part + share * (parts(other)[at] - part)));
  const low = `rgb(${mixed(line, soft, 0.35)})`;
  return Array.from({ length: SHADES }, (_, at) => `rgb(${mixed(low, accent, at / (SHADES - 1))})`);
}

/** Each experiment's share of those with a lower outcome: colours by rank don't fade for one failed run. */
function rankOf(outcome) {
  const counts = new Uint32Array(BINS + 1);
  for (const position of outcome) if (position >= 0) counts[Math.floor(position * BINS)]++;
  const below = new Uint32Array(BINS + 2);
  for (let bin = 0; bin <= BINS; bin++) below[bin + 1] = below[bin] + counts[bin];
  const all = Math.max(1, below[BINS + 1] - 1);
  return (position) => {
    const bin = Math.floor(position * BINS);
    return Math.min(1, (below[bin] + (counts[bin] - 1) / 2) / all);
  };
}

/** Draw the lines gap by gap. Those that run alike between two axes are one, in the colour of their mean rank and the
 * thicker the more they are, so that 100,000 take no longer than what can be told apart. */
async function draw(canvas, { axes, count, isShown, width, gap, shades, soft, faint }, wanted) {
  const levels = count > MANY ? COARSE : FINE;
  const across = levels + 1;
  const outcome = axes[axes.length - 1].position;
  const rank = rankOf(outcome);
  const levelOf = (position) => (Number.isNaN(position) ? levels : Math.round(position * (levels - 1)));
  const heightOf = (level) => (level === levels ? TOP + TALL + STUB / 2 : yOf(level / (levels - 1)));
  let context = null;
  for (let left = 0; left + 1 < axes.length && wanted(); left++) {
    const from = axes[left].position, to = axes[left + 1].position;
    const kind = new Uint8Array(across * across), ranks = new Float32Array(across * across), sizes = new Uint32Array(across * across);
    await inSlices(count, (at) => {
      const place = levelOf(from[at]) * across + levelOf(to[at]);
      const mine = !isShown(at) ? OUT : Number.isNaN(outcome[at]) ? UNSCORED : SCORED;
      if (mine > kind[place]) kind[place] = mine;
      if (mine !== SCORED) return;
      ranks[place] += rank(outcome[at]);
      sizes[place]++;
    }, wanted);
    if (!wanted()) return;
    context ??= fit(canvas, width, TOP + TALL + STUB); // what was drawn before stays until there is something newer
    const groups = grouped(kind, ranks, sizes);
    const total = groups.reduce((sum, group) => sum + group.places.length, 0);
    const x = EDGE + left * gap;
    for (const { of, shade, wide, places } of groups) {
      context.strokeStyle = of === OUT ? faint : of === UNSCORED ? soft : shades[shade];
      context.globalAlpha = of === UNSCORED ? 0.3 : Math.min(0.9, Math.max(0.25, 15 / Math.sqrt(total)));
      context.lineWidth = wide;
      for (let start = 0; start < places.length && wanted(); start += BATCH) {
        context.beginPath();
        for (const place of places.slice(start, start + BATCH)) {
          context.moveTo(x, heightOf(Math.floor(place / across)));
          context.lineTo(x + gap, heightOf(place % across));
        }
        context.stroke();
        if (total > BATCH) await new Promise((go) => setTimeout(go));
      }
    }
  }
}

/** Lines that look alike, in the order in which they are drawn: the best last, over the others. */
function grouped(kind, ranks, sizes) {
  const most = sizes.reduce((found, size) => Math.max(found, size), 1);
  const groups = new Map();
  for (let place = 0; place < kind.length; place++) {
    if (kind[place] === 0) continue;
    const isScored = kind[place] === SCORED;
    const shade = isScored ? Math.min(SHADES - 1, Math.floor((ranks[place] / sizes[place]) * SHADES)) : -1;
    const wide = isScored ? 1.2 + Math.round(3 * Math.sqrt((sizes[place] - 1) / most)) * 0.8 : 1;
    const order = kind[place] * 1000 + shade * 10 + wide;
    if (!groups.has(order)) groups.set(order, { order, of: kind[place], shade, wide, places: [] });
    groups.get(order).places.push(place);
  }
  return [...groups.values()].sort((one, other) => one.order - other.order);
}
