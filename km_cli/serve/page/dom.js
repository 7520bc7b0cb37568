// Elements and the text in them. All values reach the page as text nodes: no function here takes markup.

/**
 * Make an element.
 *
 * `attributes` are set by name; false, null and undefined leave one out, true sets it empty, and `on` has
 * the listeners by event. Children are nodes, texts or null; arrays of them are flattened.
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value === true ? "" : value);
    }
  }
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return made;
}

/** Make a button that does something when it is pressed. */
export function button(text, press, attributes = {}) {
  return make("button", { type: "button", on: { click: press }, ...attributes }, text);
}

/** Make a table. `columns` are header texts, or {text, class}; `rows` are tr elements. */
export function table(caption, columns, rows, attributes = {}) {
  const heads = columns.map((one) => (one.text === undefined ? { text: one } : one));
  return make(
    "table",
    attributes,
    make("caption", { class: "unseen" }, caption),
    make("thead", {}, make("tr", {}, heads.map((one) => make("th", { scope: "col", class: one.class }, one.text)))),
    make("tbody", {}, rows),
  );
}

/** Make a list of terms. `pairs` are [term, text or node]; a pair with nothing to say is left out. */
export function terms(pairs, attributes = {}) {
  const said = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make("dl", attributes, said.map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", {}, value))));
}

const NUMBERS = new Intl.NumberFormat("en");
const DAYS = new Intl.DateTimeFormat("en", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** A number with commas between thousands. */
export const number = (value) => NUMBERS.format(value ?? 0);

/** A number with its noun: "1 call", "2 calls". */
export const counted = (value, noun, nouns = `${noun}s`) => `${number(value)} ${value === 1 ? noun : nouns}`;

/** A share from 0 to 1 in per cent; a dash where there is none. */
export const percent = (share) => (share === null || share === undefined ? "–" : `${(share * 100).toFixed(1)}%`);

/** "2024-03-01T09:05:00Z" → "2024-03-01 09:05:00". All times of this page are UTC. */
export const moment = (iso) => (iso ? iso.slice(0, 19).replace("T", " ") : "");

/** The same with its zone: "2024-03-01 09:05:00 UTC"; empty where there is no time. */
export const momentUtc = (iso) => (iso ? `${moment(iso)} UTC` : "");

/** "2024-03-01T09:05:00Z" → "09:05:00". */
export const clock = (iso) => (iso ? iso.slice(11, 19) : "");

/** "2024-03-01T09:05:00Z" → "March 1, 2024". */
export const day = (iso) => (iso ? DAYS.format(new Date(`${iso.slice(0, 10)}T00:00:00Z`)) : "");

/** Seconds in the largest unit that fits: "20.5 days", "3 minutes". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (seconds >= length) return counted(Math.round((seconds / length) * 10) / 10, unit);
  }
  return counted(Math.round(seconds), "second");
}

/** The address of a person's view. */
export const personHref = (identity, site) =>
  `#person/${encodeURIComponent(identity)}${site ? `?site=${encodeURIComponent(site)}` : ""}`;

/** Say something to screen readers, without moving anything on the page. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
