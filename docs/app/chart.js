// What the charts share: colours that follow the page's, a uPlot that fits its container, marks, tips, and what is saved.
import { columns } from "./data.js";
import { Loading, Notice, csv, html, save, useAsked } from "./elements.js";
import { go, href } from "./route.js";
import { uPlot, useEffect, useRef, useState } from "../vendor.js";

const NAMES = ["ink", "soft", "line", "paper", "card", "accent", "yes", "no", "wait", "one", "two", "three", "four", "five", "six"];
const DARK = matchMedia("(prefers-color-scheme: dark)");
const SLICE_MS = 40;

export const FONT = "12px system-ui, sans-serif";
/** The colours of a few series, in the order in which they are given away. */
export const SERIES = ["one", "two", "three", "four", "five", "six"];

/** The page's colours by name, as a canvas takes them; new ones when the colour scheme changes.
 * @returns {Record<string, string>} */
export function useColours() {
  const [colours, set] = useState(readColours);
  useEffect(() => {
    const change = () => set(readColours());
    DARK.addEventListener("change", change);
    return () => DARK.removeEventListener("change", change);
  }, []);
  return colours;
}

function readColours() {
  // A custom property is read as it is written, light-dark() and all; only a real property is read as a colour.
  const probe = document.body.appendChild(document.createElement("span"));
  const colours = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return colours;
}

/** Width of an element in pixels, and again when it changes; 0 until it is known, while the element should be `aria-busy`.
 * @returns {[{current: any}, number]} */
export function useWidth() {
  const element = useRef(null);
  const [width, set] = useState(0);
  useEffect(() => {
    if (!element.current) return;
    const watch = new ResizeObserver(([entry]) => set(Math.floor(entry.contentRect.width)));
    watch.observe(element.current);
    return () => watch.disconnect();
  }, []);
  return [element, width];
}

/** A chart over the columns, or why there is none. @param {{part: (props: {all: import("./data.js").Columns}) => any}} props */
export function WithColumns({ part }) {
  const { found: all, failed } = useAsked(columns, []);
  if (failed) return html`<${Notice} title="The charts' numbers can't be read.">${failed}. Run <code>make cycle</code> here to have them
    compiled again; logs/experiments.jsonl in the repository says the same.</${Notice}>`;
  if (!all) return html`<${Loading} />`;
  const isEmpty = !all.cycles.id?.length;
  return html`
    ${all.missing.length > 0 && html`<${Notice} title="Some numbers are not here, and the rest is shown without them:"> ${all.missing.join("; ")}.</${Notice}>`}
    ${isEmpty && all.missing.length === 0 && html`<${Notice} title="Nothing has been tried yet.">Run <code>make cycle</code>: its result is drawn here.</${Notice}>`}
    ${!isEmpty && html`<${part} all=${all} />`}`;
}

/** A uPlot axis in the page's colours. @param {Record<string, string>} colours @param {Record<string, any>} [more] */
export const axis = (colours, more = {}) => ({
  stroke: colours.soft,
  font: FONT,
  labelFont: FONT,
  labelSize: 20,
  grid: { stroke: colours.line, width: 1 },
  ticks: { stroke: colours.line, width: 1, size: 4 },
  ...more,
});

/** A uPlot as wide as its container.
 * @param {{options: any, data: any[], label: string, height?: number, hover?: (plot: any, left: number, top: number) => Hover | null}} props
 *   `options` without a size, the same object while nothing changed. `hover` says what lies at a place of the plot.
 * @typedef {{left: number, top: number, tip: any, cycle?: string}} Hover `cycle` is opened by a click */
export function Plot({ options, data, label, height = 380, hover }) {
  const [element, width] = useWidth();
  const [found, setFound] = useState(null);
  const plot = useRef(null);
  const drawn = useRef(null);
  const shown = useRef({});
  shown.current = { data, hover, found };
  useEffect(() => {
    if (!width) return;
    const now = () => shown.current;
    const move = (self) => {
      const { left, top } = self.cursor;
      const at = left >= 0 && now().hover ? now().hover(self, left, top) : null;
      setFound(at && { ...at, left: at.left + self.over.offsetLeft, top: at.top + self.over.offsetTop });
    };
    const hooks = { ...options.hooks, setCursor: [...(options.hooks?.setCursor ?? []), move] };
    plot.current = new uPlot({ ...options, hooks, width, height }, (drawn.current = now().data), element.current);
    plot.current.over.addEventListener("click", () => now().found?.cycle && go(href("experiment", {}, now().found.cycle)));
    return () => plot.current.destroy();
  }, [options, height, width > 0]);
  useEffect(() => {
    if (plot.current && drawn.current !== data) plot.current.setData((drawn.current = data));
  }, [data]);
  useEffect(() => {
    if (width && plot.current && plot.current.width !== width) plot.current.setSize({ width, height });
  }, [width]);
  return html`<div class=${`chart${found?.cycle ? " opens" : ""}`}>
    <div role="img" aria-label=${label} aria-busy=${width === 0} ref=${element}></div>
    ${found && html`<${Tip} left=${found.left} top=${found.top} width=${width}>${found.tip}<//>`}
  </div>`;
}

/** What is under the pointer, beside it, on the side where there is room. */
export function Tip({ left, top, width, children }) {
  const side = left > width / 2 ? { right: `${Math.max(0, width - left + 12)}px` } : { left: `${left + 12}px` };
  return html`<div class="tip" role="tooltip" style=${{ ...side, top: `${top + 12}px` }}>${children}</div>`;
}

/** A mark on a canvas in its present fill and stroke.
 * @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} size half its height
 * @param {"disc" | "ring" | "tombstone" | "diamond" | "cross" | "square"} kind */
export function dot(context, x, y, size, kind) {
  context.beginPath();
  if (kind === "square") context.rect(x - size, y - size, 2 * size, 2 * size);
  else if (kind === "diamond") {
    context.moveTo(x, y - size), context.lineTo(x + size, y), context.lineTo(x, y + size), context.lineTo(x - size, y);
    context.closePath();
  } else if (kind === "tombstone") {
    const wide = 0.8 * size;
    context.moveTo(x - wide, y + size);
    context.arc(x, y - size + wide, wide, Math.PI, 0);
    context.lineTo(x + wide, y + size);
    context.closePath();
  } else if (kind === "cross") {
    context.moveTo(x - size, y - size), context.lineTo(x + size, y + size);
    context.moveTo(x - size, y + size), context.lineTo(x + size, y - size);
  } else context.arc(x, y, size, 0, 2 * Math.PI);
  if (kind === "ring" || kind === "diamond" || kind === "cross") context.stroke();
  else context.fill();
}

/** Whether a place is the first in its cell of pixels: what would be drawn over another dot need not be drawn.
 * @param {number} width @param {number} height @param {number} [cell] @returns {(x: number, y: number) => boolean} */
export function thinner(width, height, cell = 2) {
  const across = Math.ceil(width / cell) + 1;
  const taken = new Uint8Array(across * (Math.ceil(height / cell) + 1));
  return (x, y) => {
    const at = Math.floor(y / cell) * across + Math.floor(x / cell);
    if (taken[at] !== 0) return false; // outside it is undefined, too
    taken[at] = 1;
    return true;
  };
}

/** A layer of specks, written pixel by pixel: a hundred thousand of them cost what one image costs.
 * @param {number} width in the canvas's own pixels @param {number} height @param {number} size of a speck */
export function specks(width, height, size) {
  const across = Math.max(1, Math.ceil(width)), down = Math.max(1, Math.ceil(height)), wide = Math.max(1, Math.round(size));
  const image = new ImageData(across, down);
  const pixels = new Uint32Array(image.data.buffer);
  const put = (x, y, ink) => {
    const left = Math.round(x - wide / 2), top = Math.round(y - wide / 2);
    for (let row = Math.max(0, top); row < Math.min(down, top + wide); row++)
      for (let column = Math.max(0, left); column < Math.min(across, left + wide); column++)
        if (pixels[row * across + column] >>> 24 <= ink >>> 24) pixels[row * across + column] = ink; // what is faint stays below
  };
  const onto = (context, ...place) => {
    const layer = new OffscreenCanvas(across, down);
    layer.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(layer, ...place);
  };
  return { put, onto };
}

/** A colour as the pixels of a layer hold it. @param {string} colour rgb() @param {number} alpha */
export function inkOf(colour, alpha) {
  const [red, green, blue] = colour.match(/[\d.]+/g).map(Number);
  return ((Math.round(255 * alpha) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Do something for 0 … count - 1 and let the page answer in between.
 * @param {number} count @param {(at: number) => void} act @param {() => boolean} [wanted] whether to go on */
export async function inSlices(count, act, wanted = () => true) {
  let end = performance.now() + SLICE_MS;
  for (let at = 0; at < count && wanted(); at++) {
    act(at);
    if (at % 256 === 255 && performance.now() > end) {
      await new Promise((go) => setTimeout(go));
      end = performance.now() + SLICE_MS;
    }
  }
}

/** A button that saves what is shown. @param {{name: string, names: string[], count: number, row: (at: number) => any[]}} props */
export function Download({ name, names, count, row }) {
  const write = async () => {
    const parts = [csv(names, [])];
    await inSlices(count, (at) => parts.push(csv(row(at), [])));
    save(name, parts.join(""));
  };
  return html`<button type="button" onClick=${write} disabled=${count === 0}>Download CSV</button>`;
}

/** What the marks mean. @param {{of: [string, string, string][]}} props kind, colour's name and words of each */
export function Legend({ of }) {
  return html`<ul class="legend" aria-label="Legend">
    ${of.map(([kind, colour, words]) => html`<li key=${words}><${Mark} kind=${kind} colour=${colour} /> ${words}</li>`)}
  </ul>`;
}

const SIZES = { cross: 3.5, small: 2.5, speck: 1.2 };

function Mark({ kind, colour }) {
  const element = useRef(null);
  const colours = useColours();
  useEffect(() => {
    if (!element.current) return;
    const context = fit(element.current, 16, 12);
    context.fillStyle = context.strokeStyle = colours[colour] ?? colour;
    context.lineWidth = 1.5;
    if (kind === "line" || kind === "dashes") {
      context.setLineDash(kind === "dashes" ? [3, 2] : []);
      context.lineWidth = kind === "line" ? 2.5 : 1.5;
      context.beginPath(), context.moveTo(0, 6), context.lineTo(16, 6), context.stroke();
    } else if (kind === "strands") {
      context.lineWidth = 1;
      for (const left of [0, 5]) context.beginPath(), context.moveTo(left, 1), context.quadraticCurveTo(14, 1, 14, 11), context.stroke();
    } else if (kind === "bar") {
      context.beginPath(), context.moveTo(8, 0), context.lineTo(8, 12), context.moveTo(5, 1), context.lineTo(11, 1), context.moveTo(5, 11), context.lineTo(11, 11);
      context.stroke();
    } else dot(context, 8, 6, SIZES[kind] ?? 4.5, kind);
  }, [kind, colour, colours]);
  return html`<canvas class="mark" aria-hidden="true" ref=${element}></canvas>`;
}

/** Give a canvas a size in CSS pixels, and its context in the same ones, empty.
 * @param {HTMLCanvasElement} canvas @param {number} width @param {number} height */
export function fit(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
