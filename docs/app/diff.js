// Two texts, line by line: what was taken away, what was added; by default only that, with a line around it.
import { diffLines, useState } from "../vendor.js";
import { html } from "./elements.js";

const AROUND = 1;

/** @param {{before: string, after: string, label: string}} props */
export function Diff({ before, after, label }) {
  const [whole, set] = useState(false);
  const lines = diffLines(before, after).flatMap(({ value, added, removed }) =>
    value.replace(/\n$/, "").split("\n").map((text) => ({ text, sign: added ? "+" : removed ? "−" : " " })));
  const near = lines.map((_, at) => lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(({ sign }) => sign !== " "));
  const shown = lines.filter((_, at) => whole || near[at]);
  return html`<div class="diff">
    ${shown.length
      ? html`<pre role="region" aria-label=${label} tabindex="0">${shown.map(({ text, sign }) => html`<span class=${KINDS[sign]}>${sign} ${text}${"\n"}</span>`)}</pre>`
      : html`<p class="soft">No line differs.</p>`}
    <button type="button" onClick=${() => set(!whole)}>${whole ? "Only what differs" : "The whole spec"}</button>
  </div>`;
}

const KINDS = { "+": "added", "−": "gone", " ": "kept" };
