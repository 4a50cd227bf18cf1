// A spec as people look at it: a chain of named parts, in short or as a picture, and what is new in it.

/** @typedef {{id: string, title: string, lines: string[], from: string[], mark?: "added" | "gone"}} Part */

const plain = (value) => (value === true ? "yes" : value === false ? "no" : Array.isArray(value) ? value.join(" ") : String(value));

/** An op with its parameters: attention heads 3 qk_norm yes. @param {any} part */
export function words(part) {
  if (part === null || typeof part !== "object") return plain(part);
  const { op, ...rest } = part;
  const inner = Object.entries(rest).map(([name, value]) => `${name} ${words(value)}`);
  return [op, ...inner].filter(Boolean).join(" ");
}

/** The parts of a spec's model in the order in which data goes through them.
 * @param {Record<string, any>} model @returns {Part[]} */
export function parts(model) {
  if (model.vision && model.language) {
    const seen = chain(model.vision, "image", []);
    const read = chain(model.language, "question", []);
    const { vision, language, ...rest } = model;
    const joined = Object.entries(rest).filter(([, value]) => value !== null);
    return [...seen, ...read, { id: "fusion", title: "fusion", lines: joined.map(line), from: [last(seen), last(read)] },
      { id: "answer", title: "answer", lines: [], from: ["fusion"] }];
  }
  const isText = Boolean(model.blocks);
  const all = chain(model, isText ? "tokens" : "image", []);
  return [...all, { id: "output", title: isText ? "next token" : "class", lines: [], from: [last(all)] }];
}

const last = (list) => list[list.length - 1].id;
const line = ([name, value]) => `${name}: ${words(value)}`;

/** Input, blocks or stages, and a head, one after the other. */
function chain(model, input, from) {
  const { blocks, stages, head, stem, ...rest } = model;
  const list = [{ id: input, title: input, lines: Object.entries(rest).filter(([, value]) => value !== null).map(line), from }];
  const add = (id, title, lines) => list.push({ id: `${input}.${id}`, title, lines, from: [last(list)] });
  if (stem) add("stem", "stem", [words(stem)]);
  for (const [at, block] of (blocks ?? []).entries()) add(`block${at}`, times(block, "block"), bodyOf(block));
  for (const [at, stage] of (stages ?? []).entries()) {
    const { blocks: inner, ...own } = stage;
    for (const [index, block] of inner.entries()) {
      const said = index === 0 ? Object.entries(own).map(line) : [];
      add(`stage${at}.${index}`, times(block, `stage ${at + 1}`), [...said, ...bodyOf(block)]);
    }
  }
  if (head) add("head", "head", [words(head)]);
  return list;
}

const times = (block, name) => (block.repeat > 1 ? `${block.repeat} × ${name}` : name);
const bodyOf = ({ repeat, ...rest }) => Object.entries(rest).filter(([, value]) => value !== null).map(line);

/** Mark what a spec's parts have that another's have not, and put what is gone in its place.
 * @param {Part[]} now @param {Part[]} before @returns {Part[]} */
export function compared(now, before) {
  const same = (one, other) => one.title === other.title && one.lines.join() === other.lines.join();
  const common = now.map(() => new Array(before.length + 1).fill(0));
  common.push(new Array(before.length + 1).fill(0));
  for (let i = now.length - 1; i >= 0; i--) {
    for (let j = before.length - 1; j >= 0; j--) {
      common[i][j] = same(now[i], before[j]) ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const found = [];
  let i = 0, j = 0;
  while (i < now.length || j < before.length) {
    const left = i < now.length ? now[i] : null, past = j < before.length ? before[j] : null;
    if (left && past && same(left, past)) {
      found.push(left);
      i++, j++;
    } else if (past && (!left || common[i][j + 1] >= common[i + 1][j])) {
      found.push({ ...past, id: `was ${past.id}`, mark: "gone", from: [] });
      j++;
    } else {
      found.push({ ...left, mark: "added" });
      i++;
    }
  }
  return found;
}

/** Every leaf of a tree with its path. @param {any} tree @returns {[string, any][]} */
export function leaves(tree, path = "") {
  if (tree === null || typeof tree !== "object") return [[path, tree]];
  const named = Array.isArray(tree) ? tree.map((value, at) => [`${path}[${at}]`, value]) : Object.entries(tree).map(([name, value]) => [path ? `${path}.${name}` : name, value]);
  return named.flatMap(([name, value]) => leaves(value, name));
}
