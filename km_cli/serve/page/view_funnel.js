// The funnel of `km-cli compare`, over the calls of the store, counted by each persona.

import { ask } from "./api.js";
import { button, duration, make, number, percent } from "./dom.js";
import { failure } from "./notices.js";
import { DataView } from "./view.js";

export class FunnelView extends DataView {
  name = "Funnel";
  heading = "Funnel";

  constructor(parameters) {
    super();
    this.steps = parameters.getAll("step");
    while (this.steps.length < 2) this.steps.push("");
    this.within = parameters.get("within") ?? "";
    this.names = make("datalist", { id: "event-names" });
    this.fields = make("div", { class: "steps" });
  }

  tools() {
    const within = make("input", { id: "within", size: 8, placeholder: "30d", autocomplete: "off", on: { input: () => (this.within = within.value.trim()) } });
    within.value = this.within;
    this.#drawSteps();
    this.#learnNames();
    return make(
      "form", { class: "funnel-form", on: { submit: (event) => this.#asked(event) } },
      this.names,
      this.fields,
      make("div", { class: "toolbar" },
        button("Add a step", () => this.#add()),
        make("label", { for: "within" }, "Within"), within,
        make("span", { class: "gap" }),
        make("button", { class: "primary" }, "Count")),
    );
  }

  async read() {
    if (this.#wanted.length < 2) return null;
    return ask("/api/funnel", { step: this.#wanted, within: this.within });
  }

  draw(found) {
    if (!found) return [make("p", { class: "quiet" }, "Name two events or more. Each person counts with the first time of a step after the step before it.")];
    const isUnknown = "unknown" in found.personas;
    const why = "unknown: neither the store nor km.toml says which kind of identity these are. Import with --to local, or start km-cli serve beside a km.toml.";
    return [...Object.entries(found.personas).map(([persona, one]) => funnel(persona, one)), isUnknown ? make("p", { class: "foot" }, why) : null];
  }

  get #wanted() {
    return this.steps.map((step) => step.trim()).filter(Boolean);
  }

  #asked(event) {
    event.preventDefault();
    const wanted = new URLSearchParams(this.#wanted.map((step) => ["step", step]));
    if (this.within) wanted.append("within", this.within);
    history.replaceState(null, "", `#funnel?${wanted}`);
    this.refresh();
  }

  #add() {
    this.steps.push("");
    this.#drawSteps();
    this.fields.lastChild.querySelector("input").focus();
  }

  #drawSteps() {
    this.fields.replaceChildren(...this.steps.map((step, at) => {
      const field = make("input", { id: `step-${at}`, list: "event-names", autocomplete: "off", on: { input: () => (this.steps[at] = field.value) } });
      field.value = step;
      const remove = button("Remove", () => {
        this.steps.splice(at, 1);
        this.#drawSteps();
        this.fields.lastChild.querySelector("input").focus();
      }, { "aria-label": `Remove step ${at + 1}` });
      return make("div", { class: "step" }, make("label", { for: `step-${at}` }, `Step ${at + 1}`), field, this.steps.length > 2 ? remove : null);
    }));
  }

  async #learnNames() {
    try {
      const { events } = await ask("/api/events");
      const names = [...new Set(events.map((one) => one.name))].sort();
      this.names.replaceChildren(...names.map((name) => make("option", { value: name })));
    } catch (error) {
      this.content?.before(failure(error));
    }
  }
}

function funnel(persona, one) {
  const began = one.steps[0]?.reached ?? 0;
  const rows = one.steps.map((step, at) => {
    const bar = make("span", { class: "bar" });
    bar.style.width = `${began ? (100 * step.reached) / began : 0}%`;
    return make(
      "tr", {},
      make("th", { scope: "row" }, step.event),
      make("td", { class: "number" }, number(step.reached)),
      make("td", { class: "bars" }, make("span", { class: "track", "aria-hidden": "true" }, bar)),
      make("td", { class: "number" }, at ? percent(step.conversion) : ""),
      make("td", { class: "number wide" }, at ? duration(step.median_seconds) : ""),
    );
  });
  return make(
    "section", { class: "funnel" },
    make("h2", {}, `Counted by ${persona}`),
    make("p", {}, make("strong", { class: "large" }, percent(one.conversion)), ` of ${number(began)} get from the first step to the last`,
      one.median_seconds === null ? "." : `, half of them within ${duration(one.median_seconds)}.`),
    make("table", {},
      make("caption", { class: "unseen" }, `Funnel counted by ${persona}`),
      make("thead", {}, make("tr", {},
        make("th", { scope: "col" }, "Step"), make("th", { scope: "col", class: "number" }, "Reached"), make("th", { scope: "col", class: "bars" }, make("span", { class: "unseen" }, "Share of the first step")),
        make("th", { scope: "col", class: "number" }, "From the step before"), make("th", { scope: "col", class: "number wide" }, "Median time"))),
      make("tbody", {}, rows)),
  );
}
