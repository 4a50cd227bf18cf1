// Fitness over time as points: where each cycle lies on the chosen axis, and the champion's line.
import { inSlices } from "./chart.js";

/** Student's t, two-sided 95 %, by degrees of freedom from 1; the last stands for all above. */
const T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042, 1.96];

/** Half the 95 % interval of a mean, null when one run can't say. @param {number[]} runs */
export function halfWidth(runs) {
  const known = runs.filter(Number.isFinite);
  if (known.length < 2) return null;
  const mean = known.reduce((sum, one) => sum + one, 0) / known.length;
  const variance = known.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (known.length - 1);
  return T95[Math.min(known.length - 1, T95.length) - 1] * Math.sqrt(variance / known.length);
}

/** Where every cycle lies. @param {import("./data.js").Columns} all @param {"generation" | "date" | "flops"} by
 * @returns {Promise<Float64Array>} its generation's number with what lies between two of them spread evenly, its time in
 *   seconds, or what its domain had trained by then in FLOPs */
export async function placesOf({ cycles }, by) {
  const places = new Float64Array(cycles.id.length);
  const domains = new Map();
  const spread = (state, next) => {
    state.between.forEach((at, rank) => (places[at] = state.last + ((rank + 1) / (state.between.length + 1)) * (next - state.last)));
    state.between = [];
  };
  await inSlices(cycles.id.length, (at) => {
    const domain = cycles.domain[at];
    if (!domains.has(domain)) domains.set(domain, { last: -1, between: [], flops: 0 });
    const state = domains.get(domain);
    state.flops += cycles.used_flops[at] ?? 0;
    if (by === "date") places[at] = Date.parse(cycles.time[at]) / 1000;
    else if (by === "flops") places[at] = state.flops;
    else if (cycles.generation[at] && !cycles.rollback[at]) {
      const number = Number(/\d+$/.exec(cycles.generation[at])?.[0] ?? state.last + 1);
      spread(state, number);
      state.last = places[at] = number;
    } else state.between.push(at);
  });
  for (const state of domains.values()) spread(state, state.last + 1);
  return places;
}

/** @typedef {{at: number, value: number, cycle: number}} Step */

/** Who was champion from when on, with the score it had when it became one. A rollback brings an earlier score back.
 * @param {import("./data.js").Columns} all @param {Float64Array} places @returns {Map<string, Step[]>} by domain */
export function championsOf({ cycles }, places) {
  const lines = new Map([...new Set(cycles.domain)].sort().map((domain) => [domain, []]));
  const named = new Map();
  for (let at = 0; at < cycles.id.length; at++) {
    const { [at]: domain } = cycles.domain;
    const generation = `${domain}/${cycles.generation[at]}`;
    if (cycles.outcome[at] === "accepted" && cycles.generation[at] && cycles.fitness[at] !== null) {
      if (!cycles.rollback[at]) named.set(generation, cycles.fitness[at]);
      lines.get(domain).push({ at: places[at], value: cycles.fitness[at], cycle: at });
    } else if (cycles.outcome[at] === "rolled-back" && named.has(generation)) {
      lines.get(domain).push({ at: places[at], value: named.get(generation), cycle: at });
    }
  }
  return lines;
}

/** uPlot's data of step lines: one list of places, and each line's values where it changes and at the end.
 * @param {Step[][]} lines @param {number} end */
export function stepsOf(lines, end) {
  const xs = [...new Set([...lines.flatMap((line) => line.map((step) => step.at)), end])].sort((one, other) => one - other);
  const place = new Map(xs.map((x, index) => [x, index]));
  const values = lines.map((line) => {
    const list = new Array(xs.length).fill(null);
    for (const step of line) list[place.get(step.at)] = step.value;
    if (line.length) list[xs.length - 1] = line.at(-1).value;
    return list;
  });
  return [xs, ...values];
}

/** From the least to the greatest with room around; what lies far below the rest, a share of `cut`, is left out.
 * @param {number[]} always @param {number[]} others @param {number} [cut] */
export function rangeOf(always, others, cut = 0.05) {
  const sorted = Float64Array.from(others).sort();
  let low = sorted.length ? sorted[Math.floor(sorted.length * cut)] : Infinity;
  let high = sorted.length ? sorted[sorted.length - 1] : -Infinity;
  for (const value of always) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(low <= high)) return [0, 1];
  const room = (high - low || 0.02) * 0.06;
  return [low - room, high + room];
}
