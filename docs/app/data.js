// What there is to show: the summary first, then what a view asks for. Files are fetched once and never trusted to be
// markup; one that is missing or broken is told, and the rest of the page goes on.
import { signal } from "../vendor.js";

const ROWS = 1_000;
const COLUMN_ROWS = 10_000;
const POLL_MS = 2000;

/** @typedef {{isSample: boolean, summary: Record<string, any>, contract: Record<string, any> | null}} Lab */

/** The lab that is shown, once it is known. @type {{value: Lab | null}} */
export const lab = signal(null);
/** What went wrong at the very beginning. */
export const trouble = signal("");
/** What is training now on this machine, when it says so. */
export const training = signal(null);

/** The time that "now" means: a sample stays as old as it was when it was recorded. */
export const now = () => (lab.value?.isSample ? Date.parse(lab.value.summary.ledger.newest) : Date.now());

const kept = new Map();

/** A file of this page's, parsed; the same promise for whoever asks again.
 * @param {string} name @param {"json" | "text"} [kind] @returns {Promise<any>} */
export function read(name, kind = "json") {
  if (!kept.has(name)) kept.set(name, load(name, kind));
  return kept.get(name);
}

async function load(name, kind) {
  const answer = await fetch(name, { cache: "no-cache" }).catch(() => null);
  if (!answer) throw new Error(`${name} can't be reached`);
  if (!answer.ok) throw new Error(`${name} is missing (${answer.status})`);
  const text = await answer.text();
  if (kind === "text") return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${name} is damaged: it is no JSON`);
  }
}

/** Read the summary, or the recorded sample's while this lab has no history. */
export async function open() {
  try {
    let summary = await read("metrics.json");
    const isSample = !summary?.ledger?.entries;
    if (isSample) summary = await read("metrics.sample.json");
    if (summary?.schema_version !== 1) throw new Error("metrics.json is of another version than this page");
    const contract = await read("contract.json").catch(() => null);
    lab.value = { isSample, summary, contract };
  } catch (error) {
    trouble.value = error.message;
  }
  if (["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) poll();
}

/** @param {string} cycle @returns {Promise<Record<string, any> | null>} its row, with all that is on record of it */
export async function row(cycle) {
  const { summary } = lab.value;
  const all = await columns();
  const at = all.placeOf.get(cycle);
  if (at === undefined) return null;
  const rows = await read(summary.shards[Math.floor(at / ROWS)]);
  return rows[at % ROWS] ?? null;
}

/** The row of a generation's own cycle. @param {string} domain @param {string} generation */
export async function rowOf(domain, generation) {
  const cycle = (await columns()).attemptOf.get(`${domain}/${generation}`);
  return cycle === undefined ? null : row(cycle);
}

/** A generation's artifact. @param {Record<string, any>} found its row @param {string} name
 * @param {"json" | "text"} [kind] */
export function artifact(found, name, kind = "json") {
  return read(`${folderOf(found)}/${name}`, kind);
}

/** Where a generation's artifacts lie. @param {Record<string, any>} found its row */
export const folderOf = (found) => `${lab.value.isSample ? "sample/history" : "history"}/${found.domain}/${found.directory}`;

/** @typedef {{cycles: Record<string, any[]>, children: Record<string, any[]>, genes: Record<string, any[]>,
 *   placeOf: Map<string, number>, attemptOf: Map<string, string>, missing: string[]}} Columns
 * `placeOf` is a cycle's place in the whole history, `children.cycle` one among the cycles that are here. */

/** Every cycle and every child, as equally long lists, with words in place of their numbers.
 * @returns {Promise<Columns>} */
export function columns() {
  if (!kept.has("columns")) kept.set("columns", gather());
  return kept.get("columns");
}

async function gather() {
  const all = { cycles: {}, children: {}, genes: {}, placeOf: new Map(), attemptOf: new Map(), missing: [] };
  const failed = (error) => void all.missing.push(error.message);
  const files = await Promise.all(lab.value.summary.columns.map((name) => read(name).catch(failed)));
  let cycles = 0, children = 0;
  for (const [number, file] of files.entries()) {
    if (!file) continue;
    const more = { cycles: file.cycles.id?.length ?? 0, children: file.children.cycle?.length ?? 0 };
    await append(all.cycles, file.cycles, cycles, more.cycles, file.words);
    await append(all.children, file.children, children, more.children, file.words);
    await append(all.genes, file.genes, children, more.children, file.words);
    for (let at = children; at < children + more.children; at++) all.children.cycle[at] += cycles;
    const { id, generation, domain, rollback } = all.cycles;
    for (let at = cycles; at < cycles + more.cycles; at++) {
      all.placeOf.set(id[at], number * COLUMN_ROWS + at - cycles);
      if (generation[at] && !rollback[at]) all.attemptOf.set(`${domain[at]}/${generation[at]}`, id[at]);
    }
    cycles += more.cycles;
    children += more.children;
  }
  return all;
}

/** Put a file's lists after those that are there; what only some files have is null elsewhere. */
async function append(all, added, length, size, words) {
  for (const name of new Set([...Object.keys(all), ...Object.keys(added)])) {
    const list = (all[name] ??= new Array(length).fill(null));
    const more = added[name];
    const known = Object.hasOwn(words, name) ? words[name] : null;
    for (let at = 0; at < size; at++) {
      const value = more?.[at] ?? null;
      list.push(known && value !== null ? known[value] : value);
    }
    await breath();
  }
}

const SLICE_MS = 40;
let rested = 0;

/** Let the page answer whoever uses it, when it has not for a while. */
async function breath() {
  if (performance.now() - rested < SLICE_MS) return;
  await new Promise((go) => setTimeout(go));
  rested = performance.now();
}

async function poll() {
  try {
    const answer = await fetch("progress.json", { cache: "no-store" });
    const found = answer.ok ? await answer.json() : null;
    training.value = found?.runs ? found : null;
    if (answer.ok) setTimeout(poll, POLL_MS);
  } catch {
    training.value = null;
  }
}
