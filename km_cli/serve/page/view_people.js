// The people and accounts of the store, and one of them with its timeline.

import { ask } from "./api.js";
import { counted, day, make, moment, number, personHref, table, terms, clock } from "./dom.js";
import { Line } from "./notices.js";
import { explained, personaLabel } from "./rows.js";
import { DataView } from "./view.js";

const MOST_PEOPLE = 500;
const MOMENTS = 300; // moments of a timeline that are shown at first, and again with each "Show more"
const TYPING = 200; // milliseconds after the last key before the server is asked

/** All people, with a search. */
export class PeopleView extends DataView {
  name = "People";
  heading = "People and accounts";

  constructor(parameters) {
    super();
    this.text = parameters.get("text") ?? "";
    this.field = make("input", {
      type: "search", placeholder: "Identity", "aria-label": "Search identities", "aria-keyshortcuts": "/", autocomplete: "off", spellcheck: "false",
      on: { input: () => this.#typed() },
    });
    this.field.value = this.text;
  }

  tools() {
    return make("div", { class: "toolbar", role: "search" }, this.field);
  }

  search() {
    this.field.focus();
    this.field.select();
  }

  escape() {
    this.field.value = "";
    this.#typed();
  }

  read() {
    return ask("/api/people", { text: this.text, limit: MOST_PEOPLE });
  }

  draw({ people }) {
    if (!people.length) return [make("p", { class: "foot" }, this.text ? "No person matches." : "The store has no people yet.")];
    const hasSites = new Set(people.map((one) => one.site)).size > 1;
    const rows = people.map((one) => make(
      "tr", {},
      make("td", {}, make("a", { class: "open", href: personHref(one.id, one.site) }, one.id), aliases(one.identities)),
      make("td", {}, personaLabel(one.persona)),
      hasSites ? make("td", {}, one.site) : null,
      make("td", { class: "number" }, number(one.events)),
      make("td", { class: "time wide" }, moment(one.last)),
    ));
    const columns = ["Identity", "Persona", hasSites ? "Site" : null, { text: "Events", class: "number" }, { text: "Last event (UTC)", class: "time wide" }];
    const most = people.length < MOST_PEOPLE ? null : make("p", { class: "foot" }, `The first ${number(MOST_PEOPLE)}. Search to find others.`);
    return [table("People and accounts", columns.filter(Boolean), rows), most];
  }

  #typed() {
    this.text = this.field.value.trim();
    history.replaceState(null, "", this.text ? `#people?${new URLSearchParams({ text: this.text })}` : "#people");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), TYPING);
  }
}

function aliases(identities) {
  const others = (identities?.length ?? 1) - 1;
  return others > 0 ? make("span", { class: "quiet" }, ` and ${counted(others, "alias", "aliases")}`) : null;
}

/** One person or account, in each site that has it. */
export class PersonView extends DataView {
  constructor(identity, parameters) {
    super();
    this.name = identity;
    this.heading = identity;
    this.identity = identity;
    this.site = parameters.get("site") ?? "";
  }

  read() {
    return ask("/api/people/", { identity: this.identity, site: this.site }); // in a path, ".." would be a folder
  }

  draw({ people }) {
    return people.map((person) => make("section", { class: "person" }, this.#summary(person), this.#tables(person), facts(person.facts), timeline(person.timeline)));
  }

  #summary(person) {
    const others = person.identities.filter((one) => one !== this.identity);
    return terms([
      ["Persona", personaLabel(person.persona)],
      ["Site", person.site],
      ["Also known as", others.length ? make("ul", { class: "plain" }, others.map((one) => make("li", {}, one))) : ""],
    ]);
  }

  #tables(person) {
    const events = person.events.map((one) => make(
      "tr", {}, make("td", {}, one.name), make("td", { class: "number" }, number(one.times)), make("td", { class: "time wide" }, moment(one.first)), make("td", { class: "time" }, moment(one.last)),
    ));
    const properties = person.properties.map((one) => make(
      "tr", {}, make("td", {}, one.name), make("td", { class: "value" }, one.value, one.values > 1 ? make("span", { class: "quiet" }, ` (${number(one.values)} values)`) : null), make("td", { class: "time" }, moment(one.time)),
    ));
    const columns = ["Event", { text: "Times", class: "number" }, { text: "First (UTC)", class: "time wide" }, { text: "Last (UTC)", class: "time" }];
    return make(
      "div", { class: "pair" },
      make("section", {}, make("h2", {}, "Events"), events.length ? table("Events", columns, events) : make("p", { class: "quiet" }, "None.")),
      make("section", {}, make("h2", {}, "Properties"), properties.length ? table("Properties", ["Property", "Last value", { text: "Since (UTC)", class: "time" }], properties) : make("p", { class: "quiet" }, "None.")),
    );
  }
}

/** What was merged, changed or dropped of a person: facts that read alike are one, with their number. */
function facts(all = []) {
  const alike = Map.groupBy(all, (fact) => [fact.rule, fact.what, fact.detail].join("\n"));
  const shown = [...alike.values()].map((same) => [explained(same[0]), same.length > 1 ? make("p", { class: "quiet" }, `${number(same.length)} times`) : null]);
  return shown.length ? make("section", {}, make("h2", {}, "Merged, changed, dropped"), make("div", { class: "pair" }, shown.map((one) => make("div", {}, one)))) : null;
}

/** The moments of a person by day, the newest first. */
function timeline(moments = []) {
  const newest = [...moments].reverse();
  const days = make("div", { class: "timeline" });
  const more = new Line("foot");
  let shown = 0;
  const extend = () => {
    for (const one of newest.slice(shown, shown + MOMENTS)) {
      const title = day(one.time);
      if (days.lastChild?.dataset.day !== title) {
        days.append(make("section", { "data-day": title }, make("h3", {}, title), make("ol")));
      }
      days.lastChild.lastChild.append(instant(one));
    }
    shown = Math.min(newest.length, shown + MOMENTS);
    const isMore = shown < newest.length;
    more.set(isMore ? `${number(shown)} of ${counted(newest.length, "moment")}.` : "", isMore ? "Show more" : "", extend);
  };
  extend();
  return make("section", {}, make("h2", {}, "Timeline"), newest.length ? days : make("p", { class: "quiet" }, "Nothing yet."), more.element);
}

function instant(one) {
  return make(
    "li", {},
    make("time", { datetime: one.time }, clock(one.time)),
    make(
      "div", {},
      (one.events ?? []).map((event) => make("p", { class: "event" }, event)),
      Object.entries(one.properties ?? {}).map(([name, value]) => make("p", {}, make("span", { class: "quiet" }, `${name} `), value)),
    ),
  );
}
