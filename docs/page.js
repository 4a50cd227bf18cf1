// Shows metrics.json, or the recorded sample while this lab's ledger is empty. Everything from the file is set as
// text, never as markup.
"use strict";

const at = (id) => document.getElementById(id);

function element(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

const percent = (value) => (typeof value === "number" ? (100 * value).toFixed(1) + " %" : "–");
const day = (time) => (typeof time === "string" ? time.replace("T", " ").replace("Z", "") : "–");

function outcome(text) {
  return element("span", text, text === "accepted" || text === "rejected" ? text : "other");
}

function table(target, columns, rows) {
  const head = element("tr");
  for (const [title, , kind] of columns) head.append(element("th", title, kind));
  const body = rows.map((row) => {
    const line = element("tr");
    for (const [, value, kind] of columns) {
      const cell = element("td", undefined, kind);
      cell.append(value(row));
      line.append(cell);
    }
    return line;
  });
  if (!rows.length) {
    const cell = element("td", "None yet.", "other");
    cell.colSpan = columns.length;
    body.push(element("tr"));
    body[0].append(cell);
  }
  const thead = element("thead");
  thead.append(head);
  const tbody = element("tbody");
  tbody.append(...body);
  target.replaceChildren(thead, tbody);
}

const points = (value) => (value > 0 ? "+" : "") + (100 * value).toFixed(1);

function gain(row) {
  const look = row.look;
  return look ? points(look.gain) + " % (" + points(look.low) + " to " + points(look.high) + ")" : "–";
}

function evidence(row) {
  const look = row.look;
  if (!look) return "–";
  return Number(look.e_value.toPrecision(3)) + " of " + Math.round(1 / look.level) + ", " + look.pairs + " pairs";
}

function changes(row) {
  if (row.placebo) return "a placebo: the champion in disguise";
  return row.change || (row.parent ? "–" : "the baseline");
}

function champion(domain, facts, totals, placebos) {
  const card = element("div", undefined, "card");
  card.append(element("h3", domain + " · " + facts.generation));
  card.append(element("div", percent(facts.scores && facts.scores.generalize), "big"));
  const list = element("dl");
  const pairs = [
    ["recall", percent(facts.scores && facts.scores.recall)],
    ["since", day(facts.time)],
    ["cycles", String(totals.cycles)],
    ["attempts", totals.attempts + ", " + totals.accepted + " accepted"],
    ["placebos", placebos ? placebos.promoted + " accepted of " + placebos.revealed : "–"],
    ["compute", totals.cpu_s + " CPU s"],
  ];
  for (const [name, value] of pairs) list.append(element("dt", name), element("dd", value));
  card.append(list);
  return card;
}

const rows = (metrics, cycles) => cycles.map((cycle) => metrics.rows[cycle]);

function show(metrics) {
  const placebos = metrics.placebos || {};
  const cards = Object.entries(metrics.champions).map(([domain, facts]) =>
    champion(domain, facts, metrics.totals[domain], placebos[domain]));
  at("champions").replaceChildren(...(cards.length ? cards : [element("p", "None yet: run `make cycle`.", "other")]));
  table(at("attempts"), [
    ["generation", (row) => row.domain + "/" + row.generation],
    ["decision", (row) => outcome(row.outcome)],
    ["change", changes, "words"],
    ["generalize", (row) => percent(row.scores && row.scores.generalize), "number"],
    ["gain (95 % interval)", gain, "number"],
    ["e-value of what it needs", evidence, "number"],
    ["why", (row) => row.reason || "", "words"],
    ["time (UTC)", (row) => day(row.time), "time"],
  ], rows(metrics, metrics.attempts));
  table(at("cycles"), [
    ["time (UTC)", (row) => day(row.time), "time"],
    ["domain", (row) => row.domain],
    ["seed", (row) => String(row.seed), "number"],
    ["children", (row) => String(row.children), "number"],
    ["outcome", (row) => outcome(row.outcome)],
    ["why", (row) => row.reason || "", "words"],
  ], rows(metrics, metrics.newest.slice(0, 50)));
  const ledger = metrics.ledger;
  at("ledger").textContent = ledger.entries + " ledger entries, tip " + (ledger.tips.join(", ") || "none");
}

async function read(name) {
  const response = await fetch(name, { cache: "no-cache" });
  if (!response.ok) throw new Error(name + ": " + response.status);
  return response.json();
}

function announce(text) {
  const banner = at("banner");
  banner.textContent = text;
  banner.hidden = false;
}

async function main() {
  let metrics = await read("metrics.json").catch(() => null);
  if (!metrics || !metrics.ledger.entries) {
    metrics = await read("metrics.sample.json");
    announce("Sample: this lab has not run a cycle yet. What you see was recorded by a real campaign elsewhere.");
  }
  show(metrics);
}

main().catch((error) => announce("The metrics can't be read: " + error.message));
