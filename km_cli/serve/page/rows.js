// One call as a row of the live table, and in the panel beside it.

import { button, clock, make, moment, momentUtc, number, personHref, terms } from "./dom.js";

const SHOWN_PROPERTIES = 4; // in a row; the panel has all of them

/** The columns of the live table. */
export const COLUMNS = [
  { text: "Arrived", class: "time" },
  { text: "Call" },
  { text: "Person or account", class: "who" },
  { text: "Properties", class: "wide" },
  { text: "Time (UTC)", class: "time wide" },
  { text: "Result", class: "result" },
];

/** The name of a call: its event, or in words its effect. */
export function title(call) {
  if (call.kind === "event") return call.name;
  if (call.kind === "alias") return `Alias of ${call.name}`;
  if (call.kind === "set") return "Set properties";
  return "Ignored call";
}

/** The person of a call as a link to its timeline. */
export function personLink(call, attributes = {}) {
  if (!call?.person) return make("span", { class: "quiet" }, "no person");
  return make("a", { href: personHref(call.person, call.site), ...attributes }, call.person);
}

/** The persona's name as a small label. */
export const personaLabel = (persona) => (persona ? make("span", { class: "label" }, persona) : null);

/** "merged D1": the fate of a call in two words. */
export const factName = (what, rule) => (rule === "repeat" ? "sent twice" : `${what} ${rule}`);

const WHATS = new Set(["merged", "changed", "dropped"]);

/** The fate of a call as a label in its colour. */
export function factLabel({ what, rule }) {
  return make("span", { class: WHATS.has(what) ? `fact ${what}` : "fact" }, factName(what, rule));
}

/** The first properties in one line: "plan Business · seats 12 and 3 more". */
export function inLine(properties, most) {
  const all = Object.entries(properties ?? {});
  const shown = all.slice(0, most).map(([name, value], at) => [at ? " · " : "", make("span", { class: "quiet" }, `${name} `), value]);
  return [...shown.flat(), all.length > most ? ` and ${number(all.length - most)} more` : null];
}

/** The row of a call. `open` gets the call when it is chosen. */
export function row(call, open) {
  const facts = (call.facts ?? []).map(factLabel);
  const chosen = button(title(call), () => {}, { class: call.kind === "event" ? "open" : "open quiet", tabindex: -1 });
  const made = make(
    "tr",
    { "data-id": call.id, on: { click: (event) => event.target.closest("a") || open(call, made) } },
    make("td", { class: "time" }, clock(call.arrived)),
    make("td", {}, chosen, make("span", { class: "narrow" }, personaLabel(call.persona), " ", personLink(call, { tabindex: -1 })),
      facts.length ? make("span", { class: "narrow" }, (call.facts ?? []).map(factLabel)) : null),
    make("td", { class: "who" }, personaLabel(call.persona), " ", personLink(call, { tabindex: -1 })),
    make("td", { class: "wide" }, inLine(call.properties, SHOWN_PROPERTIES)),
    make("td", { class: "time wide" }, call.kind === "alias" ? "" : moment(call.time)),
    make("td", { class: "result" }, facts.length ? facts : make("span", { class: "quiet" }, "kept")),
  );
  return made;
}

/** A fact with the sentences that say what happened and what to do. */
export function explained(fact) {
  return make(
    "div",
    { class: "explained" },
    make("p", {}, factLabel(fact), " ", fact.said),
    fact.detail ? make("p", { class: "quiet" }, fact.detail) : null,
    fact.cure ? make("p", {}, make("strong", {}, "To do: "), fact.cure) : null,
    fact.certain === false
      ? make("p", { class: "quiet" }, "Kissmetrics' own pages disagree here. This is the stricter reading.")
      : null,
  );
}

/** All that is known of a call. `openOther` gets the number of the other call of a fact. */
export function details(call, openOther) {
  const properties = Object.entries(call.properties ?? {});
  return [
    terms([
      ["Person", make("span", {}, call.persona ? [personaLabel(call.persona), " "] : null, personLink(call))],
      ["Time", call.kind === "alias" ? "" : momentUtc(call.time)],
      ["Arrived", momentUtc(call.arrived)],
      ["Site", call.site],
      ["Call", `${number(call.id)}, ${call.kind}`],
    ]),
    properties.length ? make("h3", {}, call.kind === "ignored" ? "Parameters" : "Properties") : null,
    properties.length ? terms(properties, { class: "properties" }) : null,
    (call.facts ?? []).length ? make("h3", {}, "What Kissmetrics does with it") : null,
    (call.facts ?? []).map((fact) => [
      explained(fact),
      fact.other ? button(`Show call ${number(fact.other)}`, () => openOther(fact.other)) : null,
    ]),
  ];
}
