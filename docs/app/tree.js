// The lineage as places: every cycle is a column of its domain's lane, in the order of time. The champion is the lane's
// straight spine; everything else stands as far above or below it as it was ahead of or behind the champion retrained
// beside it: a trial on validation, an attempt on the holdout.
import { quadtree } from "../vendor.js";
import { inSlices } from "./chart.js";

/** What a node is; attempts are all above TRIAL. */
export const KIND = { UNSCORED: 0, TRIAL: 1, ACCEPTED: 2, REJECTED: 3, PLACEBO: 4, WAITING: 5, ENDED: 6, EVENT: 7 };

const KINDS = { accepted: KIND.ACCEPTED, rejected: KIND.REJECTED, placebo: KIND.PLACEBO, waiting: KIND.WAITING, open: KIND.WAITING };
const LANE = 100;
const RAIL = 0.5;
const SMALL = 0.005;

/** A lead on the lane's scale: even small ones can be told apart, and large ones stay on the page. */
export const bend = (lead) => Math.sign(lead) * Math.log1p(Math.abs(lead) / SMALL);

/** @typedef {{domain: string, cycles: number[], start: number[], line: Champion[], recalls: {column: number, to: Champion}[], attempts: number[]}} Lane
 * `start` is a column's first node, and one more. `attempts` are nodes.
 * @typedef {{generation: string, cycle: number, column: number, until: number | null, revoked: boolean}} Champion
 * @typedef {{lanes: Lane[], x: Float32Array, y: Float32Array, kind: Uint8Array, lane: Uint8Array, cycle: Int32Array,
 *   child: Int32Array, taken: Int32Array, count: number, high: number, low: number, rail: number,
 *   near: (lane: number, x: number, y: number, across: number, up: number) => number}} Tree
 * `taken` is the trial an attempt was made from; -1 where there is none. */

const kept = new WeakMap();

/** The tree of all columns; laid out once. @param {import("./data.js").Columns} all @returns {Promise<Tree>} */
export function treeOf(all) {
  if (!kept.has(all)) kept.set(all, grow(all));
  return kept.get(all);
}

async function grow(all) {
  const { cycles, children } = all;
  const size = cycles.id.length + (children.cycle?.length ?? 0);
  const tree = {
    lanes: [], count: 0, high: bend(0.02), low: -bend(0.02),
    x: new Float32Array(size), y: new Float32Array(size), kind: new Uint8Array(size), lane: new Uint8Array(size),
    cycle: new Int32Array(size), child: new Int32Array(size), taken: new Int32Array(size).fill(-1),
  };
  const lanes = new Map([...new Set(cycles.domain)].sort().map((domain, number) =>
    [domain, { domain, number, cycles: [], start: [], line: [], recalls: [], attempts: [] }]));
  tree.lanes = [...lanes.values()];
  await inSlices(cycles.id.length, (cycle) => lanes.get(cycles.domain[cycle]).cycles.push(cycle));
  const first = childrenStart(cycles.id.length, children.cycle ?? []);
  for (const lane of tree.lanes) {
    await inSlices(lane.cycles.length, (column) => plant(tree, all, lane, column, first));
    lane.start.push(tree.count);
  }
  tree.rail = tree.low - RAIL;
  const search = quadtree().x((node) => tree.x[node]).y((node) => tree.lane[node] * LANE + tree.y[node]);
  await inSlices(tree.count, (node) => {
    if (tree.kind[node] === KIND.UNSCORED) tree.y[node] = tree.rail;
    search.add(node);
  });
  tree.near = (...place) => nearest(tree, search, ...place);
  return tree;
}

/** Where each cycle's children begin: they are in the order of their cycles. */
function childrenStart(count, cycleOf) {
  const start = new Int32Array(count + 1);
  for (const cycle of cycleOf) start[cycle + 1] += 1;
  for (let at = 0; at < count; at++) start[at + 1] += start[at];
  return start;
}

/** Put one cycle's nodes into its column: the trials fanned out, then what became of the best of them. */
function plant(tree, all, lane, column, first) {
  const { cycles, children } = all;
  const cycle = lane.cycles[column];
  lane.start.push(tree.count);
  const leads = [];
  for (let child = first[cycle]; child < first[cycle + 1]; child++) {
    const value = children.validation[child], control = cycles.screen[cycle];
    leads.push([child, value === null || control === null ? null : value - control]);
  }
  const best = cycles.best[cycle];
  const lead = leads[best]?.[1] ?? 0;
  leads.sort(([, one], [, other]) => Math.abs(other ?? 0) - Math.abs(one ?? 0)); // so that no branch crosses another
  leads.forEach(([child, lead], rank) => {
    const across = 0.26 + (0.42 * (rank + 0.5)) / leads.length;
    add(tree, lane, cycle, child, column + across, lead, lead === null ? KIND.UNSCORED : KIND.TRIAL);
  });
  const generation = cycles.generation[cycle];
  const outcome = cycles.outcome[cycle];
  const place = column + 0.9;
  if (cycles.rollback[cycle]) {
    add(tree, lane, cycle, -1, place, 0, KIND.EVENT);
    if (outcome === "rolled-back") recall(lane, generation, column, cycle);
  } else if (generation) {
    const kind = cycles.placebo[cycle] ? KIND.PLACEBO : KINDS[outcome] ?? KIND.ENDED;
    const rank = best === null ? -1 : leads.findIndex(([child]) => child === first[cycle] + best);
    if (rank >= 0) tree.taken[tree.count] = tree.count - leads.length + rank;
    lane.attempts.push(tree.count);
    add(tree, lane, cycle, -1, place, kind === KIND.ACCEPTED ? 0 : cycles.gain[cycle] ?? lead, kind);
    if (kind === KIND.ACCEPTED) crown(lane, generation, column, cycle, !cycles.parent[cycle]);
  } else if (leads.length === 0) add(tree, lane, cycle, -1, place, 0, KIND.EVENT);
}

function add(tree, lane, cycle, child, x, lead, kind) {
  const node = tree.count++;
  const y = lead === null ? 0 : bend(lead); // the unscored come to the rail, once it is known how low that is
  tree.x[node] = x;
  tree.y[node] = y;
  tree.kind[node] = kind;
  tree.lane[node] = lane.number;
  tree.cycle[node] = cycle;
  tree.child[node] = child;
  if (y > tree.high) tree.high = y;
  if (y < tree.low) tree.low = y;
}

function crown(lane, generation, column, cycle, isRoot) {
  const before = lane.line.at(-1);
  if (before) before.until ??= isRoot ? column - 1 : column; // a new lineage leaves a gap
  lane.line.push({ generation, cycle, column, until: null, revoked: false });
}

/** An earlier champion is champion again; those after it were, and are no more. */
function recall(lane, generation, column, cycle) {
  const to = lane.line.findLast((one) => one.generation === generation);
  for (const one of lane.line.slice(lane.line.indexOf(to) + 1)) one.revoked = true;
  if (lane.line.length) lane.line.at(-1).until ??= column;
  if (to) lane.recalls.push({ column, to });
  lane.line.push({ generation, cycle, column, until: null, revoked: false });
}

/** The node next to a place of a lane, -1 for none within an ellipse. */
function nearest(tree, search, lane, x, y, across, up) {
  let best = -1, least = 1;
  const level = lane * LANE + y;
  search.visit((part, left, low, right, high) => {
    if (left > x + across || right < x - across || low > level + up || high < level - up) return true;
    for (let leaf = part.length ? null : part; leaf; leaf = leaf.next) {
      const node = leaf.data;
      const far = ((tree.x[node] - x) / across) ** 2 + ((lane * LANE + tree.y[node] - level) / up) ** 2;
      // An attempt lies over a trial of its cycle.
      const distance = tree.kind[node] > KIND.TRIAL ? far * 0.5 : far;
      if (tree.lane[node] === lane && distance < least) [best, least] = [node, distance];
    }
  });
  return best;
}
