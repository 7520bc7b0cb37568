// The page: which view is open, the counts above it, and the calls that arrive.

import { ask } from "./api.js";
import { CallList } from "./calls.js";
import { make, number, say } from "./dom.js";
import { bindKeys } from "./keys.js";
import { listen } from "./stream.js";
import { EventsView } from "./view_events.js";
import { FactsView } from "./view_facts.js";
import { FunnelView } from "./view_funnel.js";
import { LiveView } from "./view_live.js";
import { PeopleView, PersonView } from "./view_people.js";

const AT_FIRST = 200; // calls that are loaded when the page opens

const list = new CallList();
const main = document.getElementById("main");
const connection = document.getElementById("connection");
let summary = {}; // the last counts; empty until the server has said them
let view = null;

function makeView(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  const parameters = new URLSearchParams(query);
  if (path.startsWith("person/")) return new PersonView(decoded(path.slice("person/".length)), parameters);
  if (path === "people") return new PeopleView(parameters);
  if (path === "events") return new EventsView();
  if (path === "facts") return new FactsView(parameters);
  if (path === "funnel") return new FunnelView(parameters);
  return new LiveView(list, () => summary, parameters);
}

/** An address that was written by hand may have a "%" that stands for itself. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function go() {
  const { hash } = window.location;
  view?.close();
  main.replaceChildren(counts.element);
  view = makeView(hash);
  view.open(main);
  if ("received" in summary) view.learn?.(summary);
  document.title = `${view.name} · km-cli`;
  const here = `#${hash.replace(/^#/, "").split(/[?/]/)[0].replace("person", "people") || "live"}`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
}

/** The counts above all views. */
const counts = (() => {
  const values = Object.fromEntries(["received", "kept", "merged", "changed", "dropped"].map((name) => [name, make("dd", {}, "0")]));
  const linked = (name) => (["merged", "changed", "dropped"].includes(name) ? make("a", { href: "#facts" }, name) : name);
  const element = make("dl", { class: "counts" }, Object.entries(values).map(([name, value]) => make("div", {}, make("dt", {}, linked(name)), value)));
  return { element, values };
})();

const total = (byRule) => Object.values(byRule ?? {}).reduce((sum, count) => sum + count, 0);

function learn(found) {
  summary = found;
  const isEmptied = list.expect(found);
  const now = { received: found.received, kept: found.kept, merged: total(found.merged), changed: total(found.changed), dropped: total(found.dropped) };
  for (const [name, value] of Object.entries(now)) counts.values[name].textContent = number(value);
  const facts = now.merged + now.changed + now.dropped;
  const badge = document.getElementById("fact-count");
  badge.textContent = number(facts);
  badge.hidden = !facts;
  if (isEmptied) view.emptied?.();
}

function receive({ calls, summary: found }) {
  learn(found);
  const added = list.add(calls);
  view.update?.(added);
  view.learn?.(found);
}

function showState(state) {
  if (connection.dataset.state === state) return;
  const isBack = connection.dataset.state === "lost" && state === "open";
  connection.dataset.state = state;
  connection.textContent = state === "open" ? "Connected" : "Connection lost, trying again…";
  if (state === "lost") say("The connection is lost. The page tries again.");
  if (isBack) say("Connected again.");
}

async function begin() {
  document.getElementById("skip").addEventListener("click", () => main.focus());
  window.addEventListener("hashchange", go);
  bindKeys(() => view);
  go();
  listen(receive, showState);
  try {
    const [found, { calls }] = await Promise.all([ask("/api/summary"), ask("/api/calls", { newest: 1, limit: AT_FIRST })]);
    list.isWhole = calls.length < AT_FIRST;
    receive({ calls, summary: found.last < list.last ? summary : found });
  } catch (error) {
    showState("lost");
  }
}

begin();
