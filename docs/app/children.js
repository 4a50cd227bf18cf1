// What the views of single children share: which domain's are shown, what is measured of them, what they are in a few
// words, and which of them the reader has put aside to compare.
import { useEffect, useRef } from "../vendor.js";
import { lab } from "./data.js";
import { Notice, html, useAsked } from "./elements.js";
import { childrenOf } from "./filters.js";
import { brief, counted, percent, points, short } from "./format.js";
import { choose, href, route } from "./route.js";

export const MOST_COMPARED = 6;

/** @typedef {import("./data.js").Columns} Columns
 * @typedef {{title: string, higher?: boolean, text: (value: number, digits?: number) => string, of: (all: Columns, at: number) => number | null}} Measure */

const cost = (name) => (all, at) => all.children[name][at];
const milliseconds = (value) => `${brief(value)} ms`;

/** What is measured of a child. @type {Record<string, Measure>} */
export const MEASURES = {
  holdout: { title: "fitness on the holdout", higher: true, text: percent,
    of: (all, at) => (all.children.taken[at] ? all.cycles.fitness[all.children.cycle[at]] : null) },
  validation: { title: "accuracy on validation", higher: true, text: percent, of: cost("validation") },
  gain: { title: "gain over the parent on validation, in points", higher: true, text: points, of: gainOf },
  parameters: { title: "parameters", text: (value) => short(value), of: cost("parameters") },
  flops: { title: "FLOPs forward", text: (value) => short(value), of: cost("flops") },
  // A run that was dropped before it was timed has 0 on record.
  latency: { title: "latency", text: milliseconds, of: (all, at) => all.children.latency_ms[at] || null },
  memory: { title: "memory in training", text: (value) => short(value, "B"), of: cost("bytes") },
};

function gainOf(all, at) {
  const validation = all.children.validation[at], control = all.cycles.screen[all.children.cycle[at]];
  return validation === null || control === null ? null : validation - control;
}

/** The one domain whose children are shown: domains are different tasks, and their scores don't compare. */
export function shownDomain() {
  const { totals } = lab.value.summary;
  const most = Object.keys(totals).sort((one, other) => totals[other].children - totals[one].children)[0] ?? "";
  return route.value.params.domain || most;
}

/** Places of the children that the filters let pass, of one domain. @param {Columns} all @param {string} domain */
export const childrenIn = (all, domain) => childrenOf(all).filter((at) => all.cycles.domain[all.children.cycle[at]] === domain);

/** Says which domain is shown when nobody has chosen one. */
export function DomainNote({ domain }) {
  const others = Object.keys(lab.value.summary.totals).filter((name) => name !== domain);
  if (route.value.params.domain || others.length === 0) return null;
  return html`<p class="hint">Domains are different tasks, so one is shown at a time: <strong>${domain}</strong>, which has the most
    experiments. See ${others.map((name, at) => html`${at > 0 && " or "}<a href=${href(route.value.view, { ...route.value.params, domain: name })}>${name}</a>`)}.</p>`;
}

/** What could not be read of the history. */
export const Gaps = ({ of }) => of.length > 0 && html`<div class="notice" role="status"><strong>A part of the history is not shown.</strong> ${of.join("; ")}.</div>`;

/** Why no experiment is shown, and what helps. */
export function Nothing({ missing }) {
  const { operator, outcome } = route.value.params;
  const why = operator || outcome ? "The filters let none pass: clear them."
    : missing.length ? "What could be read of the history has none of this domain."
    : html`Run <code>make cycle</code>: its children appear here once they were proposed.`;
  return html`<${Notice} title="No experiment to show yet.">${why}<//>`;
}

/** Accuracy on validation of a baseline, which had no trial: the mean of its own runs. @param {any[]} runs */
export function accuracyOf(runs) {
  const found = runs.map((run) => run.accuracy).filter((one) => typeof one === "number");
  return found.length ? found.reduce((sum, one) => sum + one) / found.length : null;
}

const TOWERS = ["", "vision.", "language."];
const ROLES = ["mixer", "channel", "block"];

/** A spec in a few words: width 48 · 2 × attention, mlp · muon 0.02. @param {Columns} all @param {number} at */
export function inShort(all, at) {
  const gene = (name) => all.genes[name]?.[at] ?? null;
  const towers = TOWERS.flatMap((place) => {
    const ops = ROLES.map((role) => gene(place + role)).filter((op) => op !== null).join(", ");
    const width = gene(`${place}width`), depth = gene(`${place}depth`);
    return [width !== null && `${place.replace(".", " ")}width ${width}`, ops && (depth === null ? ops : `${depth} × ${ops}`)];
  });
  const recipe = [gene("optimizer"), gene("lr")].filter((value) => value !== null).join(" ");
  return [...towers, gene("fusion"), recipe].filter(Boolean).join(" · ");
}

/** A child's place among its cycle's, from 1. */
function numberOf(all, at) {
  let first = at;
  while (first > 0 && all.children.cycle[first - 1] === all.children.cycle[at]) first--;
  return at - first + 1;
}

/** How a child is named in addresses: its cycle where it is that cycle's best, else `cycle.3` for the third.
 * @param {Columns} all @param {number} at */
export function keyOf(all, at) {
  const cycle = all.children.cycle[at], number = numberOf(all, at);
  return all.cycles.best[cycle] === number - 1 ? all.cycles.id[cycle] : `${all.cycles.id[cycle]}.${number}`;
}

/** How a child is named for people. @param {Columns} all @param {number} at */
export function nameOf(all, at) {
  const cycle = all.children.cycle[at];
  const { domain, generation, id } = all.cycles;
  return all.children.taken[at] ? `${domain[cycle]}/${generation[cycle]}` : `${id[cycle]}, child ${numberOf(all, at)}`;
}

/** What is put aside to compare. */
export const chosen = () => [...new Set((route.value.params.ids ?? "").split(",").filter(Boolean))];

/** Put one aside, or take it back. @param {string} key */
export function toggle(key) {
  const now = chosen();
  const next = now.includes(key) ? now.filter((one) => one !== key) : [...now, key].slice(0, MOST_COMPARED);
  choose({ ids: next.join(",") });
}

/** A box to put a child aside with. */
export function Pick({ id, name }) {
  const now = chosen();
  const taken = now.includes(id);
  return html`<input type="checkbox" checked=${taken} disabled=${!taken && now.length >= MOST_COMPARED}
    aria-label=${`Compare ${name}`} onChange=${() => toggle(id)} />`;
}

/** What is put aside, and the way to its comparison. */
export function Aside() {
  const ids = chosen();
  if (ids.length === 0) return null;
  return html`<div class="aside" role="status"><span>${counted(ids.length, "experiment")} put aside${ids.length >= MOST_COMPARED ? ", the most that fit" : ""}:</span>
    ${ids.map((id) => html`<button type="button" key=${id} title="Take back" onClick=${() => toggle(id)}>${id} <span aria-hidden="true">×</span></button>`)}
    ${ids.length > 1 ? html`<a href=${href("compare", { ids: ids.join(",") })}>Compare them</a>` : html`<span class="soft">Choose one more to compare.</span>`}
  </div>`;
}

/** Like `useAsked`, and what was found before stays until something newer is. */
export function useLatest(ask, on) {
  const asked = useAsked(ask, on);
  const last = useRef(undefined);
  useEffect(() => void (asked.found !== undefined && (last.current = asked.found)), [asked.found]);
  return { failed: asked.failed, found: asked.found ?? last.current };
}

/** The highest of a list, best first, without sorting all of it; what has no number comes last.
 * @param {number[]} list @param {(at: number) => number | null} value @param {number} most */
export function best(list, value, most) {
  const top = [];
  const rank = (at) => value(at) ?? -Infinity;
  for (const at of list) {
    const mine = rank(at);
    if (top.length === most && mine <= rank(top[most - 1])) continue;
    let place = top.length;
    while (place > 0 && rank(top[place - 1]) < mine) place--;
    top.splice(place, 0, at);
    if (top.length > most) top.pop();
  }
  return top;
}
