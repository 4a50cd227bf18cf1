// Which mutations help, and whether predictions can be believed.
import { scaleLinear } from "../../vendor.js";
import { lab } from "../data.js";
import { Choice, Table, csv, html, save } from "../elements.js";
import { Axes, Figure, frame } from "../evidence.js";
import { between, counted, points } from "../format.js";
import { choose, href, route } from "../route.js";

/** The record of every operator. */
export function Operators() {
  const { summary, contract } = lab.value;
  const { domain = "" } = route.value.params;
  const chosen = summary.operators.filter((one) => !domain || one.domain === domain);
  const sorted = [...chosen].sort((one, other) => (other.low !== null) - (one.low !== null) || (other.mean ?? -9) - (one.mean ?? -9) || other.children - one.children);
  const reach = Math.max(0.005, ...sorted.flatMap(({ mean, low, high }) => [mean, low, high]).filter((value) => value !== null).map(Math.abs));
  const predictions = summary.predictions.filter((one) => !domain || one.domain === domain);
  const download = () => save("operators.csv", csv(COLUMNS, sorted.map((one) => COLUMNS.map((name) => one[name]))));
  return html`
    <p class="hint">What each operator's children scored on validation against their parent, retrained in the same bundle. Intervals are 95 %
      and normal; those with one score have none and come last. A child of two operators counts for both. A screen is no proof: what is
      promoted is decided on the holdout.</p>
    <form class="filters" onSubmit=${(event) => event.preventDefault()}>
      <${Choice} label="domain" value=${domain} choose=${(value) => choose({ domain: value })} options=${[["", "all"], ...Object.keys(summary.totals).map((name) => [name, name])]} />
      <button type="button" onClick=${download}>Download CSV</button></form>
    <${Table} caption="Operators" rows=${sorted} columns=${[
      { title: "operator", value: (one) => html`<a href=${href("fitness", { domain: one.domain, operator: one.operator })}>${one.operator}</a>` },
      { title: "domain", value: (one) => one.domain },
      { title: "mean gain, points", value: (one) => html`<${Interval} ...${one} reach=${reach} />` },
      { title: "95 % interval", kind: "number", value: (one) => between(one.low, one.high) },
      { title: "children", kind: "number", value: (one) => one.children },
      { title: "scored", kind: "number", value: (one) => one.trained },
      { title: "beat the margin", kind: "number", value: (one) => one.screened },
      { title: "attempted", kind: "number", value: (one) => one.attempted },
      { title: "accepted", kind: "number", value: (one) => one.accepted },
    ]} />
    <h2>Calibration</h2>
    <p class="hint">What planners promised for each attempt, and what the arbiter measured. On the line they agree${contract ? `; within ${points(Number(contract.karma.band)).slice(1)} points a prediction earns karma` : ""}.</p>
    ${predictions.length ? html`<${Calibration} of=${predictions} />` : html`<p class="soft">No attempt was measured yet.</p>`}`;
}

const COLUMNS = ["domain", "operator", "children", "trained", "screened", "attempted", "accepted", "mean", "low", "high"];

/** A mean with its interval on a line with 0 in the middle. */
function Interval({ mean, low, high, reach }) {
  if (mean === null) return "–";
  const x = scaleLinear([-reach, reach], [4, 156]);
  return html`<span class="bar"><svg width="160" height="16" role="img" aria-label=${`${points(mean)} points`}>
    <line class="zero" x1=${x(0)} x2=${x(0)} y1="1" y2="15" />
    ${low !== null && html`<line class="span" x1=${x(low)} x2=${x(high)} y1="8" y2="8" />`}
    <circle class=${low > 0 ? "yes" : high < 0 ? "no" : "other"} cx=${x(mean)} cy="8" r="4" /></svg> ${points(mean)}</span>`;
}

function Calibration({ of }) {
  const most = Math.max(0.02, ...of.flatMap(({ predicted, gain }) => [Math.abs(predicted), Math.abs(gain)])) * 1.1;
  const draw = (width, tall) => {
    const at = frame(width, tall);
    const x = scaleLinear([-most, most], [at.left, at.right]), y = scaleLinear([-most, most], [at.bottom, at.top]);
    return html`<${Axes} x=${x} y=${y} width=${width} tall=${tall} xTicks=${x.ticks(Math.max(3, Math.floor(width / 120)))} yTicks=${y.ticks(5)} xText=${points} yText=${points} xTitle="predicted, points" />
      <line class="zero" x1=${x(-most)} y1=${y(-most)} x2=${x(most)} y2=${y(most)} />
      ${of.map((one) => html`<a href=${href("experiment", {}, one.cycle)} aria-label=${`${one.domain}: predicted ${points(one.predicted)}, measured ${points(one.gain)}`}>
        <line class="span" x1=${x(one.predicted)} x2=${x(one.predicted)} y1=${y(Math.max(-most, one.low))} y2=${y(Math.min(most, one.high))} />
        <circle class="other" cx=${x(one.predicted)} cy=${y(one.gain)} r="5" /></a>`)}`;
  };
  return html`<${Figure} draw=${draw} role="group" tall=${320} label=${`Predicted and measured gains of ${counted(of.length, "attempt")}`} caption="Measured gain, points (up), with its 95 % interval." />`;
}
