// The page: one shell, one view at a time, chosen by the address.
import { effect, render, useEffect, useRef, useState } from "../vendor.js";
import { lab, open, training, trouble } from "./data.js";
import { Notice, html } from "./elements.js";
import { Filters } from "./filters.js";
import { ago, counted, moment, percent } from "./format.js";
import { go, href, route } from "./route.js";
import { Compare } from "./views/compare.js";
import { ExperimentPage } from "./views/experiment.js";
import { Fields } from "./views/fields.js";
import { Fitness } from "./views/fitness.js";
import { Home } from "./views/home.js";
import { Ledger } from "./views/ledger.js";
import { Lineage } from "./views/lineage.js";
import { Operators } from "./views/operators.js";
import { Pareto } from "./views/pareto.js";

/** @type {Record<string, {title: string, part: any, key?: string, filtered?: boolean}>} */
const VIEWS = {
  home: { title: "Overview", part: Home, key: "o" },
  lineage: { title: "Lineage", part: Lineage, key: "l", filtered: true },
  fitness: { title: "Fitness", part: Fitness, key: "f", filtered: true },
  pareto: { title: "Trade-offs", part: Pareto, key: "t", filtered: true },
  fields: { title: "Fields", part: Fields, key: "i", filtered: true },
  operators: { title: "Mutations", part: Operators, key: "m" },
  ledger: { title: "Ledger", part: Ledger, key: "g" },
  compare: { title: "Compare", part: Compare },
  experiment: { title: "Experiment", part: ExperimentPage },
};
const LISTED = Object.entries(VIEWS).filter(([, one]) => one.key);

function Shell() {
  const { view, id } = route.value;
  const [helps, setHelps] = useState(false);
  const heading = useRef(null);
  const found = VIEWS[view];
  useEffect(() => {
    document.title = `${id || (found?.title ?? "Not found")} · AAMS`;
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (heading.current && document.activeElement?.closest("main, nav")) heading.current.focus();
  }, [view, id]);
  useEffect(() => {
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
      const named = LISTED.find(([, one]) => one.key === event.key);
      if (event.key === "?") setHelps((now) => !now);
      else if (event.key === "Escape") setHelps(false);
      else if (named) go(href(named[0]));
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  return html`
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), heading.current?.focus())}>Skip to the content</a>
    <header>
      <a class="brand" href=${href("home")}>AAMS</a>
      <nav aria-label="Views">
        ${LISTED.map(([name, one]) => html`<a href=${href(name)} aria-current=${name === view ? "page" : null}>${one.title}</a>`)}
      </nav>
      <button type="button" class="quiet" aria-expanded=${helps} onClick=${() => setHelps(!helps)} title="Keys and words">?</button>
    </header>
    ${helps && html`<${Help} />`}
    ${lab.value?.isSample && html`<p class="banner" role="status">Sample: this lab has not run a cycle yet. What you see was
      recorded by a real campaign elsewhere. Run <code>make cycle</code>, and this page shows yours.</p>`}
    ${training.value && html`<${Training} now=${training.value} />`}
    <main id="main">
      <h1 tabindex="-1" ref=${heading} class=${view === "home" ? "unseen" : ""}>${found?.title ?? "There is no such view"}</h1>
      ${trouble.value && html`<${Notice} title="The metrics can't be read.">${trouble.value}. Run <code>make cycle</code> here, or see
        logs/experiments.jsonl in the repository.</${Notice}>`}
      ${lab.value && found?.filtered && html`<${Filters} />`}
      ${lab.value && found && html`<${found.part} id=${id} key=${`${view}/${id}`} />`}
      ${!found && html`<p><a href=${href("home")}>Back to the overview</a></p>`}
    </main>
    ${lab.value && html`<${Footer} />`}`;
}

/** Words that the page can't do without. */
const WORDS = [
  ["champion", "the spec that nothing has been proven better than yet"],
  ["child", "the champion with one or a few changes"],
  ["cycle", "one pass of the lab: change, train, judge, record"],
  ["trial", "a first, cheap training of a child, judged on validation data; it promotes nothing"],
  ["attempt", "a child that did well enough to be judged on the holdout; it gets a generation's number, passed or not"],
  ["control", "the champion, trained again beside the child with the same compute"],
  ["holdout", "data that nobody who trains ever has"],
  ["generalize", "the share of answers that are right on the holdout"],
  ["recall", "the share of answers that are right on data like what was trained on"],
  ["tone", "what the model predicts on a fixed probe; its drift is how far that moved"],
  ["evidence", "an e-value: how much more likely the pairs are if the child is better; it may be looked at after every pair"],
  ["error budget", "the share of false promotions that the contract allows for a lineage's whole life"],
  ["karma", "what trials and good predictions earn; a scheduled attempt needs some"],
  ["placebo", "the champion in disguise, slipped in to see whether the arbiter can be fooled"],
  ["rung", "a place on the way where the children that are behind are dropped"],
  ["arbiter", "the program that recomputes every score and decides"],
];

const Help = () => html`<section class="help" aria-label="Keyboard and words">
  ${LISTED.map(([, one]) => html`<span><kbd>${one.key}</kbd> ${one.title}</span>`)}
  <span><kbd>?</kbd> this list</span><span><kbd>Tab</kbd> and <kbd>Enter</kbd> everything else</span>
  <dl class="words-list">${WORDS.map(([word, meaning]) => html`<div><dt>${word}</dt><dd>${meaning}</dd></div>`)}</dl>
</section>`;

function Training({ now }) {
  const share = now.steps ? now.done_steps / now.steps : 0;
  return html`<p class="training" role="status"><progress value=${share} aria-label="Training"></progress>
    <span>${now.title}: ${now.finished} of ${counted(now.runs, "run")}, ${percent(share, 0)}</span></p>`;
}

function Footer() {
  const { ledger } = lab.value.summary;
  return html`<footer>
    <span>${counted(ledger.entries, "ledger entry", "ledger entries")}${ledger.newest ? `, the newest ${lab.value.isSample ? `of ${moment(ledger.newest)}` : ago(ledger.newest)}` : ""}</span>
    <span>root <code>${ledger.root.slice(0, 16)}</code></span>
    <span><a href="feed.xml">Promotions as Atom</a></span>
  </footer>`;
}

effect(() => render(html`<${Shell} />`, document.getElementById("page"), void [route.value, lab.value, trouble.value, training.value]));
open();
