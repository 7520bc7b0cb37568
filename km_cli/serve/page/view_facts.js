// What Kissmetrics merges, changes or drops: each fact with its rule, its cure and its two calls.

import { ask } from "./api.js";
import { button, make, momentUtc, number } from "./dom.js";
import { explained, factName, inLine, personaLabel, personLink, title } from "./rows.js";
import { DataView } from "./view.js";

const LIMIT = 100; // facts that are shown
const SHOWN_PROPERTIES = 8; // of each call

export class FactsView extends DataView {
  name = "Merged, changed, dropped";
  heading = "Merged, changed, dropped";

  constructor(parameters) {
    super();
    this.rule = parameters.get("rule") ?? "";
    this.choices = make("div", { class: "choices", role: "group", "aria-label": "Rule" });
  }

  tools() {
    const text = "Kissmetrics answers every call alike, and says none of this. The store keeps each case, with the rule and the calls.";
    return make("div", {}, make("p", { class: "quiet" }, text), this.choices);
  }

  async read() {
    const [summary, { facts }] = await Promise.all([
      ask("/api/summary"), ask("/api/facts", { rule: this.rule, newest: 1, limit: LIMIT }),
    ]);
    return { summary, facts };
  }

  draw({ summary, facts }) {
    this.#offer(summary);
    if (!facts.length) return [make("p", { class: "foot" }, "Nothing was merged, changed or dropped.")];
    const cards = [...facts].reverse().map((fact) => make(
      "article", { class: "card" },
      explained(fact),
      calls(fact),
    ));
    const most = facts.length < LIMIT ? null : make("p", { class: "foot" }, `The newest ${number(LIMIT)}. Choose a rule to see others.`);
    return [...cards, most];
  }

  #offer({ merged = {}, changed = {}, dropped = {} }) {
    const rules = [["merged", merged], ["changed", changed], ["dropped", dropped]].flatMap(([what, counts]) =>
      Object.entries(counts).filter(([, count]) => count > 0).map(([rule, count]) => [rule, factName(what, rule), count]));
    const all = rules.reduce((sum, [, , count]) => sum + count, 0);
    const made = [["", "All", all], ...rules].map(([rule, name, count]) =>
      button([`${name} `, make("span", { class: "count" }, number(count))], () => this.#choose(rule), { "aria-pressed": String(rule === this.rule), "data-rule": rule }));
    this.choices.replaceChildren(...made);
  }

  async #choose(rule) {
    this.rule = rule;
    history.replaceState(null, "", rule ? `#facts?${new URLSearchParams({ rule })}` : "#facts");
    await this.refresh();
    [...this.choices.children].find((one) => one.dataset.rule === rule)?.focus();
  }
}

/** The calls of a fact, side by side. */
function calls({ first, second }) {
  const both = [first, second].filter(Boolean);
  const names = both.length > 1 ? ["First call", "Second call"] : ["Call"];
  return make("div", { class: "pair" }, both.map((call, at) => make(
    "section", {},
    make("h2", {}, `${names[at]}, number ${number(call.id)}`),
    make("p", {}, make("strong", {}, title(call)), " ", personaLabel(call.persona), " ", personLink(call)),
    make("p", {}, inLine(call.properties, SHOWN_PROPERTIES)),
    make("p", { class: "quiet" }, [call.kind === "alias" ? "" : momentUtc(call.time), call.site].filter(Boolean).join(", ")),
  )));
}
