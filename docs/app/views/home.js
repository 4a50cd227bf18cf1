// The first ten seconds: what the champions are, how sure that is, what happened last, and what stands in the way.
import { lab, now } from "../data.js";
import { Experiment, Facts, Outcome, Table, html } from "../elements.js";
import { between, counted, lasting, moment, odds, percent, points, short } from "../format.js";
import { href } from "../route.js";

const LAST = 8;

/** The overview. */
export function Home() {
  const { summary } = lab.value;
  const domains = Object.keys(summary.champions);
  const promoted = summary.attempts.map((cycle) => summary.rows[cycle]).filter((row) => row.outcome === "accepted" && row.parent);
  const refused = summary.attempts.map((cycle) => summary.rows[cycle]).find((row) => row.outcome === "rejected");
  const named = (row) => Object.entries(summary.rows).find(([, one]) => one === row)?.[0];
  return html`
    <p class="lead">A lab that changes small neural networks step by step. A change is kept only if it beats the champion of
      its day in repeated trainings side by side, on data that neither has seen, by more than luck explains.</p>
    <h2>Champions</h2>
    <div class="cards">${domains.map((domain) => html`<${Champion} domain=${domain} />`)}
      ${domains.length === 0 && html`<p class="soft">None yet: run <code>make cycle</code>.</p>`}</div>
    <h2>What changed last</h2>
    ${promoted.length
      ? html`<ul class="news">${promoted.slice(0, 3).map((row) => html`<li><${Experiment} cycle=${named(row)}>${row.domain}/${row.generation}<//>
          <span class="soft"> ${moment(row.time)}</span>: ${row.change || "the champion was changed"},
          <strong> ${points(row.look?.gain)} points</strong> <span class="soft">(95 %: ${between(row.look?.low, row.look?.high)})</span></li>`)}</ul>`
      : html`<p class="soft">Nothing was promoted yet.</p>`}
    ${refused && html`<p>The last attempt that was turned down: <${Experiment} cycle=${named(refused)}>${refused.domain}/${refused.generation}<//>
      ${refused.look && refused.look.e_value * refused.look.level < 1
        ? html` (${refused.change}), ${points(refused.look.gain)} points <span class="soft">(95 %: ${between(refused.look.low, refused.look.high)})</span>
          ${" "}after ${counted(refused.look.pairs, "pair")} of trainings. Its evidence was ${odds(refused.look.e_value)}; ${odds(1 / refused.look.level)} was needed.`
        : html`, because ${lower(refused.reason ?? "it was not proven")}.`}</p>`}
    <h2>${lab.value.isSample ? `Where the lab stood on ${moment(summary.ledger.newest)} UTC` : "Where the lab stands"}</h2>
    <div class="cards">${Object.keys(summary.states).map((domain) => html`<${Standing} domain=${domain} />`)}</div>
    <h2>Last cycles</h2>
    <${Table} caption="The newest cycles" rows=${summary.newest.slice(0, LAST)} columns=${[
      { title: "time (UTC)", kind: "time", value: (cycle) => moment(summary.rows[cycle].time) },
      { title: "cycle", value: (cycle) => html`<${Experiment} cycle=${cycle}>${label(summary.rows[cycle], cycle)}<//>` },
      { title: "outcome", value: (cycle) => html`<${Outcome} of=${summary.rows[cycle].outcome} />` },
      { title: "what was tried", kind: "words", value: (cycle) => tried(summary.rows[cycle]) },
      { title: "why", kind: "words", value: (cycle) => summary.rows[cycle].reason ?? "" },
    ]} />
    <p><a href=${href("lineage")}>See all of them as a tree</a></p>`;
}

const label = (row, cycle) => (row.generation ? `${row.domain}/${row.generation}` : cycle);
const lower = (text) => text.charAt(0).toLowerCase() + text.slice(1);

function tried(row) {
  if (row.rollback) return "an earlier champion again";
  if (row.placebo) return "a placebo: the champion in disguise";
  return row.change || (row.parent ? counted(row.children, "child", "children") : "the baseline");
}

function Champion({ domain }) {
  const { summary } = lab.value;
  const champion = summary.champions[domain];
  const { scores, look, root, line } = champion;
  const isRoot = champion.generation === root.generation;
  const change = summary.rows[champion.cycle]?.change;
  return html`<article class="card">
    <h3>${domain} · <${Experiment} cycle=${champion.cycle}>${champion.generation}<//></h3>
    <div class="big">${percent(scores?.generalize)}</div>
    <p class="soft">of the answers on unseen data are right</p>
    ${isRoot ? html`<p>The baseline: nothing has been proven better yet.</p>` : html`<${Gain} domain=${domain} champion=${champion} />`}
    ${look && html`<p>The last step, against ${champion.parent}: ${points(look.gain)} points, 95 % interval ${between(look.low, look.high)}, from
      ${" "}${counted(look.pairs, "pair")} of trainings. Evidence ${odds(look.e_value)}; ${odds(1 / look.level)} was needed.</p>`}
    ${change && !isRoot && html`<p class="soft">${change}</p>`}
    <${Facts} of=${[
      ["promoted", moment(champion.since)],
      ["line", html`<a href=${href("lineage", { domain })}>${line.join(" → ")}</a>`],
    ]} />
  </article>`;
}

/** How far a champion is from its baseline: by its proven steps, as scores of different generations rest on different
 * blocks of the holdout; by its scores alone where the summary no longer has every step. */
function Gain({ domain, champion }) {
  const { summary } = lab.value;
  const { line, root, scores } = champion;
  const rows = Object.values(summary.rows);
  const steps = line.slice(1).map((name) => rows.find((row) => row.domain === domain && row.generation === name && row.look)?.look.gain);
  const known = steps.every((gain) => gain !== undefined);
  const gain = known ? steps.reduce((sum, one) => sum + one, 0) : scores?.generalize - root.scores?.generalize;
  return html`<p>About <strong>${points(gain)} points</strong> over the baseline ${root.generation}${known && steps.length > 1 ? `, in ${steps.length} proven steps (${steps.map(points).join(", ")})` : ""}.
    <span class="soft"> The baseline scored ${percent(root.scores?.generalize)} on its own part of the unseen data.</span></p>`;
}

/** What a scheduled cycle would wait for; the contract's numbers, the ledger's facts. */
function waits(state, champion, contract, month) {
  const rest = champion ? Math.max(0, contract.cooldown.schedule_s - (now() - Date.parse(champion.since)) / 1000) : 0;
  const calibrated = state.predictions.filter(([predicted, measured]) => Math.abs(predicted - measured) <= Number(contract.karma.band)).length;
  const karma = state.trials * contract.karma.trial + calibrated * contract.karma.calibrated;
  const left = contract.month.training_flops - (month ?? 0);
  return { rest, karma, needed: contract.karma.attempt, left };
}

function Standing({ domain }) {
  const { summary, contract } = lab.value;
  const state = summary.states[domain];
  const { placebos } = state;
  const open = state.open[0];
  const month = summary.month_flops[new Date(now()).toISOString().slice(0, 7)];
  const found = contract && waits(state, summary.champions[domain], contract, month);
  const alpha = contract ? Number(contract.promotion.alpha) : null;
  return html`<article class="card">
    <h3>${domain}</h3>
    <p><strong>${open ? `${open.phase}${open.generation ? ` ${open.generation}` : ""}, for ${lasting((now() - Date.parse(open.since)) / 1000)}` : "Idle"}</strong>
      ${!open && found && html`<span class="soft"> · ${found.rest > 0 ? `a scheduled cycle may begin from ${moment(new Date(now() + 1000 * found.rest).toISOString())} UTC` : "a scheduled cycle may begin"}; a person may start one at any time</span>`}</p>
    <${Facts} of=${[
      ...(found ? [["karma", `${found.karma} (${found.needed} needed for a scheduled attempt)`], ["compute left this month", short(found.left, "FLOPs")]] : []),
      ["error budget spent", alpha ? `${state.alpha_spent.toPrecision(2)} of ${alpha}` : state.alpha_spent.toPrecision(2)],
      ...(alpha ? [["evidence the next attempt needs", odds(1 / (alpha * state.share))]] : []),
      ["attempts, promoted", `${state.attempts}, ${(summary.champions[domain]?.line.length ?? 1) - 1}`],
      ["placebos let through", placebos.revealed ? `${placebos.promoted} of ${placebos.revealed} (95 %: ${percent(placebos.low, 0)} to ${percent(placebos.high, 0)})` : "none tried yet"],
    ]} />
  </article>`;
}
