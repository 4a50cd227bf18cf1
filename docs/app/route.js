// Where the reader is: everything that can be chosen stands in the address, so that every view is a link.
import { computed, signal } from "../vendor.js";

/** @typedef {{view: string, id: string, params: Record<string, string>}} Route */

const HOME = "home";
const address = signal(location.hash);
addEventListener("hashchange", () => (address.value = location.hash));

/** @type {{value: Route}} */
export const route = computed(() => parse(address.value));

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view, ...rest] = path.split("/").map(decoded);
  return { view: view || HOME, id: rest.join("/"), params: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

/** Address of a view; parameters that are empty are left out. What is filtered stays filtered unless it is named.
 * @param {string} view @param {Record<string, string | number | null | undefined>} [params] @param {string} [id] */
export function href(view, params = {}, id = "") {
  const kept = { ...filters(), ...params };
  const query = new URLSearchParams(Object.entries(kept).filter(([, value]) => value != null && value !== "").map(text));
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}${query.size ? `?${query}` : ""}`;
}

/** Change parameters of this view, without a step in the browser's history.
 * @param {Record<string, string | number | null | undefined>} params */
export function choose(params) {
  const { view, id, params: now } = route.value;
  const query = Object.entries({ ...now, ...params }).filter(([, value]) => value != null && value !== "").map(text);
  history.replaceState(null, "", `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}${query.length ? `?${new URLSearchParams(query)}` : ""}`);
  address.value = location.hash;
}

/** Go to a view, as a link would. @param {string} hash */
export const go = (hash) => (location.hash = hash);

/** What every view is filtered by. */
export const FILTERS = ["domain", "operator", "outcome"];

function filters() {
  return Object.fromEntries(FILTERS.map((name) => [name, route.value.params[name]]).filter(([, value]) => value));
}

const text = ([name, value]) => [name, String(value)];

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
