// The picture of an architecture: its parts from input to output, laid out by dagre, what changed in colour.
import { Graph, layout } from "../vendor.js";
import { html } from "./elements.js";
import { compared, parts } from "./spec.js";

const WIDTH = 232;
const LETTERS = 34;
const LINE = 16;
const GAP = 22;

/** @param {{model: Record<string, any>, before?: Record<string, any> | null, label: string}} props */
export function Architecture({ model, before, label }) {
  const drawn = (before ? compared(parts(model), parts(before)) : parts(model)).map((part) => ({ ...part, lines: part.lines.flatMap(wrapped) }));
  const { nodes, edges, width, height } = arranged(drawn);
  return html`<svg class="architecture" role="img" aria-label=${label} viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height}>
    ${edges.map((points) => html`<polyline class="wire" points=${points.map(({ x, y }) => `${x},${y}`).join(" ")} />`)}
    ${nodes.map(({ part, x, y, height: tall }) => html`<g class=${part.mark ?? "kept"} transform=${`translate(${x - WIDTH / 2},${y - tall / 2})`}>
      <rect width=${WIDTH} height=${tall} rx="7" />
      <text x="12" y="20" class="title">${part.mark === "gone" ? "− " : part.mark === "added" ? "+ " : ""}${part.title}</text>
      ${part.lines.map((text, at) => html`<text x="12" y=${38 + at * LINE}>${text}</text>`)}
    </g>`)}
  </svg>`;
}

/** Where each part and each wire between parts goes. What is gone stands beside what took its place. */
function arranged(drawn) {
  const graph = new Graph();
  graph.setGraph({ rankdir: "TB", nodesep: 24, ranksep: GAP, marginx: 2, marginy: 2 });
  graph.setDefaultEdgeLabel(() => ({}));
  const present = drawn.filter((part) => part.mark !== "gone");
  for (const part of present) graph.setNode(part.id, { width: WIDTH, height: tallness(part) });
  for (const part of present) for (const from of part.from) graph.setEdge(from, part.id);
  layout(graph);
  const nodes = present.map((part) => ({ part, ...graph.node(part.id) }));
  let right = Math.max(...nodes.map(({ x }) => x)) + WIDTH + 24;
  let floor = 0;
  for (const [at, part] of drawn.entries()) {
    if (part.mark !== "gone") continue;
    const next = nodes.find(({ part: other }) => other === drawn.slice(at).find((one) => one.mark !== "gone"));
    const height = tallness(part);
    const y = Math.max((next ?? nodes[nodes.length - 1]).y, floor + height / 2 + GAP / 2);
    floor = y + height / 2;
    nodes.push({ part, x: right, y, height });
  }
  const edges = graph.edges().map((edge) => graph.edge(edge).points);
  return {
    nodes,
    edges,
    width: Math.ceil(Math.max(...nodes.map(({ x }) => x)) + WIDTH / 2 + 2),
    height: Math.ceil(Math.max(...nodes.map(({ y, height }) => y + height / 2)) + 2),
  };
}

const tallness = (part) => 30 + part.lines.length * LINE + (part.lines.length ? 4 : 0);

/** A line broken at spaces, so that it fits. */
function wrapped(text) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const fits = (lines[lines.length - 1] + word).length < LETTERS;
    if (fits) lines[lines.length - 1] += (lines[lines.length - 1] ? " " : "") + word;
    else lines.push(`  ${word.slice(0, LETTERS)}`);
  }
  return lines.filter(Boolean);
}
