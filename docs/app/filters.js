// What every chart is filtered by, and the one place that applies it.
import { columns, lab } from "./data.js";
import { Choice, html, useAsked } from "./elements.js";
import { FILTERS, choose, route } from "./route.js";

const TITLES = { domain: "domain", operator: "mutation", outcome: "outcome" };

/** The filters, as they stand in the address. */
export function Filters() {
  const { found } = useAsked(columns, []);
  const { params } = route.value;
  const known = {
    domain: Object.keys(lab.value.summary.totals),
    operator: found ? distinct(found.children.operator ?? []) : [],
    outcome: found ? distinct(found.cycles.outcome ?? []) : [],
  };
  return html`<form class="filters" aria-label="Filters" onSubmit=${(event) => event.preventDefault()}>
    ${FILTERS.map((name) => {
      const now = params[name] ?? "";
      const options = [...new Set([...known[name], ...(now ? [now] : [])])].sort();
      return html`<${Choice} label=${TITLES[name]} value=${now} choose=${(value) => choose({ [name]: value })}
        options=${[["", "all"], ...options.map((value) => [value, value])]} />`;
    })}
    ${FILTERS.some((name) => params[name]) && html`<button type="button"
      onClick=${() => choose(Object.fromEntries(FILTERS.map((name) => [name, ""])))}>Clear</button>`}
  </form>`;
}

/** Places of the cycles that the filters let pass. @param {import("./data.js").Columns} all @returns {number[]} */
export function cyclesOf(all) {
  const { domain, outcome, operator } = route.value.params;
  const { cycles, children } = all;
  const made = operator ? new Set((children.cycle ?? []).filter((_, at) => children.operator[at] === operator)) : null;
  return places(cycles.id).filter((at) => (!domain || cycles.domain[at] === domain) && (!outcome || cycles.outcome[at] === outcome) && (!made || made.has(at)));
}

/** Places of the children that the filters let pass. @param {import("./data.js").Columns} all @returns {number[]} */
export function childrenOf(all) {
  const { domain, outcome, operator } = route.value.params;
  const { cycles, children } = all;
  return places(children.cycle).filter((at) => {
    const cycle = children.cycle[at];
    return (!domain || cycles.domain[cycle] === domain) && (!outcome || cycles.outcome[cycle] === outcome) && (!operator || children.operator[at] === operator);
  });
}

const places = (list) => Array.from({ length: list?.length ?? 0 }, (_, at) => at);
const distinct = (list) => [...new Set(list)].filter((one) => one !== null);
