// What an attempt's decision rests on, drawn: the difference in each pair, and how the evidence grew.
import { scaleLinear, scaleLog } from "../vendor.js";
import { useWidth } from "./chart.js";
import { html } from "./elements.js";
import { brief, points } from "./format.js";

const LEFT = 52, RIGHT = 12, TOP = 16, BOTTOM = 30;

/** A figure with two axes; one with links in it is a group.
 * @param {{label: string, caption: any, tall?: number, draw: (width: number, tall: number) => any, role?: "img" | "group"}} props */
export function Figure({ label, caption, tall = 220, draw, role = "img" }) {
  const [ref, width] = useWidth();
  return html`<figure ref=${ref} aria-busy=${width === 0}>
    ${width > 0 && html`<svg role=${role} aria-label=${label} width=${width} height=${tall} viewBox=${`0 0 ${width} ${tall}`}>${draw(width, tall)}</svg>`}
    <figcaption>${caption}</figcaption>
  </figure>`;
}

/** Axes with a few ticks. */
export function Axes({ x, y, width, tall, xTicks, yTicks, xText = String, yText = String, xTitle }) {
  return html`<g class="axes">
    ${yTicks.map((value) => html`<g><line x1=${LEFT} x2=${width - RIGHT} y1=${y(value)} y2=${y(value)} />
      <text x=${LEFT - 8} y=${y(value) + 4} text-anchor="end">${yText(value)}</text></g>`)}
    ${xTicks.map((value) => html`<text x=${x(value)} y=${tall - BOTTOM + 16} text-anchor="middle">${xText(value)}</text>`)}
    ${xTitle && html`<text x=${width - RIGHT} y=${tall - 2} text-anchor="end">${xTitle}</text>`}
  </g>`;
}

export const frame = (width, tall) => ({ left: LEFT, right: width - RIGHT, top: TOP, bottom: tall - BOTTOM });

/** The pairs that a test used: child less control, one dot each, and the interval they leave. */
export function Pairs({ row }) {
  const used = row.pairs.slice(0, row.look.pairs).filter((pair) => pair.control);
  const gains = used.map((pair) => pair.child.generalize - pair.control.generalize);
  const { gain, low, high } = row.look;
  const reach = Math.max(0.01, ...gains.map(Math.abs), Math.min(Math.abs(low), 0.3), Math.min(Math.abs(high), 0.3)) * 1.1;
  const draw = (width, tall) => {
    const at = frame(width, tall);
    const x = scaleLinear([0.5, gains.length + 0.5], [at.left, at.right]);
    const y = scaleLinear([-reach, reach], [at.bottom, at.top]);
    return html`
      <rect class="interval" x=${at.left} width=${at.right - at.left} y=${y(Math.min(high, reach))} height=${Math.max(1, y(Math.max(low, -reach)) - y(Math.min(high, reach)))} />
      <${Axes} x=${x} y=${y} width=${width} tall=${tall} xTicks=${some(gains.length)} yTicks=${y.ticks(5)} yText=${points} xTitle="pair" />
      <line class="zero" x1=${at.left} x2=${at.right} y1=${y(0)} y2=${y(0)} />
      <line class="mean" x1=${at.left} x2=${at.right} y1=${y(gain)} y2=${y(gain)} />
      ${gains.map((value, index) => html`<circle class=${value > 0 ? "yes" : "no"} cx=${x(index + 1)} cy=${y(value)} r="4.5"><title>pair ${index + 1}: ${points(value)}</title></circle>`)}`;
  };
  return html`<${Figure} draw=${draw} label=${`Differences of ${gains.length} pairs, in points: ${gains.map(points).join(", ")}`}
    caption="Child less parent in each pair, points of generalize. Band: the 95 % interval that holds whenever one looks. Line: the shrunken gain." />`;
}

/** The e-value after each pair, against what this attempt needed. */
export function Growth({ row }) {
  const path = row.evidence ?? [];
  const needed = 1 / row.look.level;
  const draw = (width, tall) => {
    const at = frame(width, tall);
    const x = scaleLinear([0.5, path.length + 0.5], [at.left, at.right]);
    const least = Math.max(1e-6, Math.min(0.5, ...path)), most = Math.max(needed * 3, ...path);
    const y = scaleLog([least, most], [at.bottom, at.top]).clamp(true);
    const decades = y.ticks(4).filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6));
    return html`
      <${Axes} x=${x} y=${y} width=${width} tall=${tall} xTicks=${some(path.length)} yTicks=${decades.length > 6 ? decades.filter((_, index) => index % 2 === 0) : decades} yText=${brief} xTitle="pairs" />
      <line class="needed" x1=${at.left} x2=${at.right} y1=${y(needed)} y2=${y(needed)} />
      <text class="needed-text" x=${at.left + 4} y=${y(needed) - 6}>${brief(needed)} : 1 was needed</text>
      <polyline class="growth" points=${path.map((value, index) => `${x(index + 1)},${y(value)}`).join(" ")} />
      ${path.map((value, index) => html`<circle class=${value >= needed ? "yes" : "other"} cx=${x(index + 1)} cy=${y(value)} r="3.5"><title>after ${index + 1}: ${brief(value)}</title></circle>`)}`;
  };
  return html`<${Figure} draw=${draw} label=${`Evidence after each of ${path.length} pairs: ${path.map(brief).join(", ")}; ${brief(needed)} was needed`}
    caption="Evidence (e-value) that the child is better, after each pair. The line is what this attempt needed, so that false promotions stay within the lab's error budget for life." />`;
}

/** Training loss of every run of an experiment: the child's and the parent's. */
export function Curves({ runs }) {
  const drawn = runs.filter((run) => run.curve.length > 1);
  if (!drawn.length) return html`<p class="soft">No training curve is on record.</p>`;
  const every = drawn.flatMap((run) => run.curve);
  const draw = (width, tall) => {
    const at = frame(width, tall);
    const x = scaleLinear([0, Math.max(...every.map(([step]) => step))], [at.left, at.right]);
    const losses = every.map(([, loss]) => loss).sort((one, other) => one - other);
    const y = scaleLinear([losses[0], losses[Math.floor(losses.length * 0.98)]], [at.bottom, at.top]).nice().clamp(true);
    return html`
      <${Axes} x=${x} y=${y} width=${width} tall=${tall} xTicks=${x.ticks(Math.max(2, Math.floor(width / 110)))} yTicks=${y.ticks(5)} xTitle="step" />
      ${drawn.map((run) => html`<polyline class=${`curve ${run.arm === "control" ? "control" : "child"}`} points=${run.curve.map(([step, loss]) => `${x(step)},${y(loss)}`).join(" ")}><title>${run.name}</title></polyline>`)}`;
  };
  const counts = ["child", "control"].map((arm) => drawn.filter((run) => (run.arm === "control") === (arm === "control")).length);
  return html`<${Figure} draw=${draw} label=${`Training loss of ${counts[0]} runs of the child and ${counts[1]} of its parent`}
    caption=${html`<span class="key child">child</span> ${counts[1] > 0 && html`<span class="key control">parent, retrained beside it</span>`} · training loss in nats`} />`;
}

const some = (count) => Array.from({ length: count }, (_, at) => at + 1).filter((at) => count <= 10 || at === 1 || at % Math.ceil(count / 8) === 0);
