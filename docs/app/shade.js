// The colours of the lineage's nodes: by outcome, by score or by mutation.
import { SERIES } from "./chart.js";
import { KIND } from "./tree.js";

const RAMP = 6;
const OUTCOMES = ["soft", "yes", "no", "wait", "four"];

/** A class for every node, a colour for every class and words for the legend. */
export function shadesOf(all, tree, by, colours) {
  const classOf = { outcome: outcomes, fitness: scores, operator: operators }[by](all, tree, colours);
  const classes = new Uint8Array(tree.count);
  for (let node = 0; node < tree.count; node++) classes[node] = classOf.of(node);
  return { classes, palette: classOf.palette, words: classOf.words };
}

const OF_KIND = { [KIND.ACCEPTED]: 1, [KIND.REJECTED]: 2, [KIND.WAITING]: 3, [KIND.PLACEBO]: 4 };

function outcomes(all, tree, colours) {
  const became = Uint8Array.from(tree.kind);
  for (const lane of tree.lanes) for (const node of lane.attempts) if (tree.taken[node] >= 0) became[tree.taken[node]] = tree.kind[node];
  return { palette: OUTCOMES.map((name) => colours[name]), words: [], of: (node) => OF_KIND[became[node]] ?? 0 };
}

/** Dark where the score is high among those of its domain. */
function scores(all, tree, colours) {
  const { fitness } = all.cycles, { validation } = all.children;
  const score = (node) => (tree.child[node] < 0 ? fitness[tree.cycle[node]] : validation[tree.child[node]]);
  const ranges = tree.lanes.map((lane) => {
    const known = [];
    for (let node = lane.start[0]; node < lane.start.at(-1); node++) if (score(node) != null) known.push(score(node));
    const sorted = Float32Array.from(known).sort();
    return [sorted[Math.floor(sorted.length * 0.05)], sorted[Math.ceil(sorted.length * 0.98) - 1]];
  });
  const palette = [colours.soft, ...Array.from({ length: RAMP }, (_, at) => mixed(colours.wait, colours.one, at / (RAMP - 1)))];
  return {
    palette, words: [["disc", palette[1], "a low score of its domain"], ["disc", palette[RAMP], "a high one"]],
    of: (node) => {
      const [low, high] = ranges[tree.lane[node]], value = score(node);
      return value == null ? 0 : 1 + Math.min(RAMP - 1, Math.max(0, Math.floor(((value - low) / (high - low || 1)) * RAMP)));
    },
  };
}

function mixed(from, to, share) {
  const [one, other] = [from, to].map((colour) => colour.match(/[\d.]+/g).map(Number));
  return `rgb(${[0, 1, 2].map((at) => Math.round(one[at] + share * (other[at] - one[at]))).join(", ")})`;
}

/** A colour for each of the commonest mutations. */
function operators(all, tree, colours) {
  const counts = new Map();
  for (const one of all.children.operator ?? []) counts.set(one, (counts.get(one) ?? 0) + 1);
  const first = [...counts].sort(([, one], [, other]) => other - one).slice(0, SERIES.length).map(([name]) => name);
  return {
    palette: [colours.soft, ...SERIES.map((name) => colours[name])],
    words: [...first.map((name, at) => ["disc", SERIES[at], name]), ["disc", "soft", "another mutation"]],
    of: (node) => 1 + first.indexOf(operatorOf(all, tree, node)),
  };
}

/** The mutation a node was made by, "" for what was not mutated. */
export function operatorOf(all, tree, node) {
  const trial = tree.child[node] >= 0 ? node : tree.taken[node];
  return trial < 0 ? "" : all.children.operator[tree.child[trial]] ?? "";
}
