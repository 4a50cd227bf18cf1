// Numbers and times as people read them. Whatever is missing is a dash.
const DASH = "–";
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A share in [0, 1] in percent. */
export const percent = (value, digits = 1) => (isNumber(value) ? `${(100 * value).toFixed(digits)}\u00a0%` : DASH);

/** A difference of shares in percentage points, signed. */
export const points = (value) => (isNumber(value) ? `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(100 * value).toFixed(1)}` : DASH);

/** An interval of differences in percentage points. */
export const between = (low, high) => (isNumber(low) && isNumber(high) ? `${points(low)} to ${points(high)}` : DASH);

const SCALE = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** A count in short: 80.1 k. */
export function short(value, unit = "") {
  if (!isNumber(value)) return DASH;
  const [size, letter] = SCALE.find(([least]) => Math.abs(value) >= least) ?? [1, ""];
  const scaled = value / size;
  const text = size === 1 && Number.isInteger(value) ? String(value) : String(Number(scaled.toPrecision(3)));
  const suffix = `${letter}${unit}`;
  return suffix ? `${text}\u00a0${suffix}` : text;
}

/** Three digits of any number. */
export const brief = (value) => (isNumber(value) ? value.toLocaleString("en", { maximumSignificantDigits: 3 }) : DASH);

/** Six digits of a number that was compared: enough to see on which side of its bound it lies. */
export const compared = (value) => (isNumber(value) ? value.toLocaleString("en", { maximumSignificantDigits: 6 }) : DASH);

/** Evidence as odds: 676 : 1. */
export const odds = (value) => (isNumber(value) ? `${brief(value)}\u00a0:\u00a01` : DASH);

/** 2026-11-21T01:40:00Z as 2026-11-21 01:40. */
export const moment = (time) => (typeof time === "string" && time ? time.slice(0, 16).replace("T", " ") : DASH);

/** How long ago a time was. */
export function ago(time, now = Date.now()) {
  const seconds = (now - Date.parse(time)) / 1000;
  return isNumber(seconds) ? (seconds < 60 ? "just now" : `${lasting(seconds)} ago`) : DASH;
}

const SPANS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

/** Seconds as one unit: 3 hours. */
export function lasting(seconds) {
  if (!isNumber(seconds)) return DASH;
  const [size, name] = SPANS.find(([least]) => seconds >= least) ?? [1, "second"];
  const count = Math.round(seconds / size);
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}

/** The beginning of a digest. */
export const digest = (value) => (typeof value === "string" && value ? value.slice(0, 12) : DASH);

/** 1 child, 2 children. */
export const counted = (count, one, many = `${one}s`) => `${Number(count).toLocaleString("en")} ${count === 1 ? one : many}`;
