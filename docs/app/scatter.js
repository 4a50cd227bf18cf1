// A cloud of points under a front: the cloud on a canvas, since there may be 100,000 of them; axes, front and marks in SVG.
import { quadtree, scaleLinear, scaleLog, useEffect, useMemo, useRef, useState } from "../vendor.js";
import { Tip, fit, inSlices, thinner, useColours, useWidth } from "./chart.js";
import { html } from "./elements.js";

const EDGE = { left: 58, right: 14, top: 26, bottom: 46 };
const WIDE = 20;
const NEAR = 24;
const MANY = 4_000;

/** @typedef {import("./children.js").Measure} Measure
 * @typedef {{count: number, x: Float64Array, y: Float64Array}} Points
 * @param {{points: Points, front: number[], champion: number | null, aside: number[], xAxis: Measure, yAxis: Measure, label: string,
 *   describe: (at: number) => any, name: (at: number) => string, open: (at: number) => void, toggle: (at: number) => void}} props
 *   `front` from left to right. */
export function Scatter({ points, front, champion, aside, xAxis, yAxis, label, describe, name, open, toggle }) {
  const [element, width] = useWidth();
  const [hovered, hover] = useState(null);
  const found = useRef(null);
  const canvas = useRef(null);
  const before = useRef({ at: null, isTouch: false });
  const colours = useColours();
  const tall = width < 520 ? 340 : 460;
  const scales = useMemo(() => width && {
    x: scaleOf(points.x, [EDGE.left, width - EDGE.right]),
    y: scaleOf(points.y, [tall - EDGE.bottom, EDGE.top]),
  }, [points, width]);
  useEffect(() => {
    if (!scales || !canvas.current) return;
    let wanted = true;
    cloud(fit(canvas.current, width, tall), { points, front, champion, scales, width, tall, colour: colours.soft }, () => wanted)
      .then((tree) => wanted && (found.current = tree));
    return () => void ((wanted = false), (found.current = null));
  }, [points, scales, colours]);
  useEffect(() => hover(null), [points]);

  const under = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return found.current?.find(event.clientX - box.left, event.clientY - box.top, NEAR)?.at ?? null;
  };
  const act = (event) => {
    const at = under(event);
    // The first tap says what a point is, since a finger can't hover; the second opens it.
    if (at === null || (before.current.isTouch && at !== before.current.at)) return hover(at);
    event.shiftKey ? toggle(at) : open(at);
  };
  const place = (at) => [scales.x(points.x[at]), scales.y(points.y[at])];
  return html`<div class=${`chart scatter${hovered === null ? "" : " opens"}`} ref=${element} aria-busy=${width === 0} onPointerMove=${(event) => hover(under(event))}
      onPointerDown=${(event) => (before.current = { at: hovered, isTouch: event.pointerType === "touch" })} onPointerLeave=${() => hover(null)} onClick=${act}>
    <canvas ref=${canvas} role="img" aria-label=${label}></canvas>
    ${scales && html`<svg width=${width} height=${tall} aria-hidden=${front.length === 0}>
      <${Grid} scales=${scales} xAxis=${xAxis} yAxis=${yAxis} width=${width} tall=${tall} />
      <path class="front" d=${staircase(front.map(place), xAxis.higher, scales)} />
      <${Front} front=${front} place=${place} name=${name} hover=${hover} open=${open} toggle=${toggle} />
      ${aside.map((at) => html`<circle class="aside-mark" key=${at} cx=${place(at)[0]} cy=${place(at)[1]} r="9" />`)}
      ${champion !== null && html`<${Champion} at=${place(champion)} width=${width} />`}
      ${hovered !== null && html`<circle class="hovered" cx=${place(hovered)[0]} cy=${place(hovered)[1]} r="6" />`}
    </svg>`}
    ${scales && hovered !== null && html`<${Tip} left=${place(hovered)[0]} top=${place(hovered)[1]} width=${width}>${describe(hovered)}<//>`}
  </div>`;
}

/** A scale with room at both ends; a logarithmic one where the numbers are far apart. */
function scaleOf(values, range) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > 0 && high / low > WIDE) return scaleLog([low / 1.15, high * 1.15], range);
  const room = high > low ? 0.06 * (high - low) : Math.abs(low) * 0.1 || 1;
  return scaleLinear([low - room, high + room], range);
}

/** Draw a mark for each point that would not hide under another. @returns what lies near a place of the picture */
async function cloud(context, { points, front, champion, scales, width, tall, colour }, wanted) {
  const isFirst = thinner(width, tall, points.count > MANY ? 3 : 1);
  const isMany = points.count > MANY;
  const drawn = [...front, ...(champion === null ? [] : [champion])].map((at) => ({ at, x: scales.x(points.x[at]), y: scales.y(points.y[at]) }));
  context.fillStyle = colour;
  context.globalAlpha = isMany ? 0.45 : 0.6;
  await inSlices(points.count, (at) => {
    const x = scales.x(points.x[at]), y = scales.y(points.y[at]);
    if (!isFirst(x, y)) return;
    drawn.push({ at, x, y });
    if (isMany) return context.fillRect(x - 1, y - 1, 2.5, 2.5);
    context.beginPath(), context.arc(x, y, 3, 0, 2 * Math.PI), context.fill();
  }, wanted);
  const tree = quadtree([], (one) => one.x, (one) => one.y).cover(0, 0).cover(width, tall);
  await inSlices(drawn.length, (at) => void tree.add(drawn[at]), wanted);
  return tree;
}

/** Everything that the front's points beat lies on one side of it: a line in steps, to the edge of the picture. */
function staircase(places, isHigherRight, scales) {
  if (places.length === 0) return "";
  const [left, right] = scales.x.range();
  const [[x, y], ...rest] = places;
  if (isHigherRight) return `M${left},${y}H${x}${rest.map(([to, up]) => `V${up}H${to}`).join("")}`;
  return `M${x},${y}${rest.map(([to, up]) => `H${to}V${up}`).join("")}H${right}`;
}

function Grid({ scales, xAxis, yAxis, width, tall }) {
  const across = ticks(scales.x, Math.max(3, Math.floor(width / 130)), xAxis), up = ticks(scales.y, 6, yAxis);
  return html`<g class="axes" aria-hidden="true">
    ${across.map(([value, text]) => html`<g><line x1=${scales.x(value)} x2=${scales.x(value)} y1=${EDGE.top} y2=${tall - EDGE.bottom} />
      <text x=${scales.x(value)} y=${tall - EDGE.bottom + 17} text-anchor="middle">${text}</text></g>`)}
    ${up.map(([value, text]) => html`<g><line x1=${EDGE.left} x2=${width - EDGE.right} y1=${scales.y(value)} y2=${scales.y(value)} />
      <text x=${EDGE.left - 8} y=${scales.y(value) + 4} text-anchor="end">${text}</text></g>`)}
    <text class="title" x=${width - EDGE.right} y=${tall - 8} text-anchor="end">${xAxis.title}: ${xAxis.higher ? "more is better →" : "← less is better"}</text>
    <text class="title" x="4" y="14">${yAxis.higher ? "↑" : "↓"} ${yAxis.title}: ${yAxis.higher ? "more" : "less"} is better</text>
  </g>`;
}

/** Ticks with their words, as many digits as tell them apart. @returns {[number, string][]} */
function ticks(scale, count, axis) {
  const all = roundTicks(scale, count);
  const digits = all.length > 1 ? Math.min(4, Math.max(0, Math.ceil(-2 - Math.log10(all[1] - all[0]) - 1e-9))) : 1;
  return all.map((value) => [value, axis.text(value, digits)]).filter(([, text], at, said) => at === 0 || said[at - 1][1] !== text);
}

/** Round values on a scale, about as many as asked for: of a logarithmic one 1, 2 and 5 of each power of ten. */
export function roundTicks(scale, count) {
  const all = scale.ticks(count);
  if (!scale.base) return all;
  const leading = (value) => Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
  const round = all.filter((value) => [1, 2, 5].includes(leading(value)));
  return round.length <= count + 2 ? round : round.filter((value) => leading(value) === 1);
}

/** The front's points as links; arrow keys walk along them, so that Tab stops here once. */
function Front({ front, place, name, hover, open, toggle }) {
  const press = (event, index) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    const act = { Enter: open, " ": toggle }[event.key];
    if (!step && !act) return;
    event.preventDefault();
    if (step) event.currentTarget.parentNode.children[index + step]?.focus();
    else act(front[index]);
  };
  return html`<g role="group" aria-label="The front. Arrow keys walk along it, Enter opens an experiment, the space bar puts it aside to compare.">
    ${front.map((at, index) => html`<circle class="on-front" key=${at} role="link" tabindex=${index === 0 ? 0 : -1} aria-label=${name(at)}
      cx=${place(at)[0]} cy=${place(at)[1]} r="5" onFocus=${() => hover(at)} onBlur=${() => hover(null)} onKeyDown=${(event) => press(event, index)} />`)}
  </g>`;
}

function Champion({ at: [x, y], width }) {
  const isRight = x > width - 110;
  return html`<g class="champion" aria-hidden="true"><path d=${`M${x},${y - 9}L${x + 9},${y}L${x},${y + 9}L${x - 9},${y}Z`} />
    <text x=${isRight ? x - 13 : x + 13} y=${y + 4} text-anchor=${isRight ? "end" : "start"}>champion</text></g>`;
}
