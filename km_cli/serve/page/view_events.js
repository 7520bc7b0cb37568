// The events of the store, with how often and by how many people and accounts each was done.

import { ask } from "./api.js";
import { make, number, table } from "./dom.js";
import { DataView } from "./view.js";

export class EventsView extends DataView {
  name = "Events";
  heading = "Events";

  read() {
    return ask("/api/events");
  }

  draw({ events }) {
    if (!events.length) return [make("p", { class: "foot" }, "The store has no events yet.")];
    const personas = [...new Set(events.flatMap((one) => Object.keys(one.people)))].sort();
    const hasSites = new Set(events.map((one) => one.site)).size > 1;
    const rows = [...events].sort((one, other) => other.times - one.times || one.name.localeCompare(other.name)).map((one) => make(
      "tr", {},
      make("td", {}, make("a", { class: "open", href: `#live?${new URLSearchParams({ text: one.name })}` }, one.name)),
      hasSites ? make("td", {}, one.site) : null,
      make("td", { class: "number" }, number(one.times)),
      personas.map((persona) => make("td", { class: "number" }, one.people[persona] ? number(one.people[persona]) : "–")),
    ));
    const columns = ["Event", hasSites ? "Site" : null, { text: "Times", class: "number" }, ...personas.map((text) => ({ text: `By ${text}`, class: "number" }))];
    return [table("Events", columns.filter(Boolean), rows)];
  }
}
