// The tools above the live table: search, sites, personas, pause, delete.

import { button, make } from "./dom.js";

/**
 * Make the tools. `filter` has `site`, `persona` and `text`, and is changed in place; `react` has the functions
 * `filter`, `pause` and `remove`, which are called after a change or a press.
 */
export function toolbar(filter, react) {
  const search = make("input", {
    type: "search",
    placeholder: "Person, event or property",
    "aria-label": "Search person, event or property",
    "aria-keyshortcuts": "/",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 500,
    on: {
      input: () => {
        filter.text = search.value.trim();
        react.filter();
      },
    },
  });
  search.value = filter.text;
  const site = choice("Site", "All sites", filter, "site", react.filter);
  const persona = choice("Persona", "All personas", filter, "persona", react.filter);
  const pause = button("Pause", react.pause, { "aria-pressed": "false", "aria-keyshortcuts": "p", class: "first" });
  const remove = button("Delete all…", react.remove);
  return {
    element: make("div", { class: "toolbar", role: "search" }, search, site, persona, make("span", { class: "gap" }), pause, remove),
    search,
    paused(isPaused) {
      pause.setAttribute("aria-pressed", isPaused);
      pause.textContent = isPaused ? "Go on" : "Pause";
    },
    choices({ sites = [], personas = [] }, calls) {
      offer(site, sites);
      offer(persona, [...personas, ...new Set(calls.map((call) => call.persona).filter(Boolean))]);
    },
  };
}

function choice(label, all, filter, name, changed) {
  const made = make("select", { "aria-label": label }, make("option", { value: "" }, all));
  if (filter[name]) made.append(make("option", { value: filter[name] }, filter[name]));
  made.value = filter[name];
  made.addEventListener("change", () => {
    filter[name] = made.value;
    changed();
  });
  return made;
}

/** Add the names that are not among the options yet. */
function offer(select, names) {
  const known = new Set([...select.options].map((option) => option.value));
  for (const name of new Set(names)) if (!known.has(name)) select.append(make("option", { value: name }, name));
}
