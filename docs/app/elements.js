// The parts that several views are made of. Strings reach the page as text only: htm and Preact never parse markup.
import { h, htm, useEffect, useState } from "../vendor.js";
import { href } from "./route.js";

export const html = htm.bind(h);

/** How a cycle or an attempt ended, as a word with its colour and its sign. */
export function Outcome({ of }) {
  const kind = KINDS[of] ?? "other";
  return html`<span class=${`outcome ${kind}`}><span aria-hidden="true">${SIGNS[kind]}</span> ${of}</span>`;
}

const KINDS = { accepted: "yes", confirmed: "yes", rejected: "no", outdone: "no", expired: "no", waiting: "wait", open: "wait" };
const SIGNS = { yes: "✓", no: "✗", wait: "…", other: "·" };

/** Something that must be read first; its state is told while it is not there.
 * @param {() => Promise<any>} ask @param {any[]} on ask again when these change
 * @returns {{found?: any, failed?: string}} */
export function useAsked(ask, on) {
  const [state, set] = useState({});
  useEffect(() => {
    let wanted = true;
    set({});
    ask().then(
      (found) => wanted && set({ found }),
      (error) => wanted && set({ failed: error.message }),
    );
    return () => (wanted = false);
  }, on);
  return state;
}

export const Loading = () => html`<p class="state" role="status">Reading…</p>`;

/** What is wrong or not there yet, and what to do about it. */
export const Notice = ({ title, children }) => html`<div class="notice" role="status"><strong>${title}</strong> ${children}</div>`;

/** A link to one experiment. */
export const Experiment = ({ cycle, children }) => html`<a href=${href("experiment", {}, cycle)}>${children ?? cycle}</a>`;

/** @param {{caption: string, columns: {title: string, value: (row: any) => any, kind?: string}[], rows: any[]}} props */
export function Table({ caption, columns, rows }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}>
    <table>
      <caption class="unseen">${caption}</caption>
      <thead><tr>${columns.map((one) => html`<th scope="col" class=${one.kind}>${one.title}</th>`)}</tr></thead>
      <tbody>
        ${rows.map((row) => html`<tr>${columns.map((one) => html`<td class=${one.kind}>${one.value(row)}</td>`)}</tr>`)}
        ${rows.length === 0 && html`<tr><td colspan=${columns.length} class="soft">None yet.</td></tr>`}
      </tbody>
    </table>
  </div>`;
}

/** Names with their values. @param {{of: [string, any][]}} props */
export const Facts = ({ of }) => html`<dl class="facts">${of.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** Text that can be copied with one click. */
export function Copy({ text, label = "Copy" }) {
  const [done, set] = useState(false);
  const copy = () => navigator.clipboard.writeText(text).then(() => set(true), () => set(false));
  return html`<div class="copy"><code>${text}</code> <button type="button" onClick=${copy}>${done ? "Copied" : label}</button></div>`;
}

/** One of a few. @param {{label: string, name: string, value: string, options: [string, string][], choose: (value: string) => void}} props */
export function Choice({ label, value, options, choose }) {
  return html`<label class="choice"><span>${label}</span>
    <select value=${value} onChange=${(event) => choose(event.currentTarget.value)}>
      ${options.map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
    </select></label>`;
}

/** Save text as a file of the reader's. */
export function save(name, text, type = "text/csv") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Rows as CSV; no spreadsheet takes a cell for a formula. @param {string[]} names @param {any[][]} rows */
export function csv(names, rows) {
  const cell = (value) => {
    const text = value == null ? "" : String(value);
    const safe = typeof value !== "number" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [names, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}
