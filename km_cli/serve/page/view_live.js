// The live view: calls as they arrive, the newest first.

import { fits } from "./calls.js";
import { confirmDeletion } from "./deleting.js";
import { make, say, table } from "./dom.js";
import { toolbar } from "./filters.js";
import { emptyStore } from "./notices.js";
import { Panel } from "./panel.js";
import { Remarks } from "./remarks.js";
import { COLUMNS, row } from "./rows.js";

const PAGE = 200; // rows that are shown at first, and again with each "Show more"
const GLOWING = 20; // more rows than these at once do not glow

export class LiveView {
  name = "Live";

  /** `list` holds the calls, `summary()` returns the last counts, and `parameters` are the filter. */
  constructor(list, summary, parameters) {
    this.list = list;
    this.summary = summary;
    this.filter = Object.fromEntries(["site", "persona", "text"].map((name) => [name, parameters.get(name) ?? ""]));
    this.isPaused = false;
    this.heldBack = 0; // calls that arrived during the pause
    this.found = null; // the calls that a search of the whole store found, instead of those of the list
    this.limit = PAGE;
    this.chosen = null; // the row on which the keys stand
  }

  open(main) {
    this.toolbar = toolbar(this.filter, {
      filter: () => this.#filtered(),
      pause: () => this.pause(),
      remove: () => confirmDeletion(this.summary().received),
    });
    this.remarks = new Remarks(this);
    this.table = table("Calls, the newest first", COLUMNS, [], { class: "calls" });
    this.body = this.table.tBodies[0];
    this.panel = new Panel(() => this.chosen?.querySelector(".open").focus());
    const list = make("div", { class: "list" }, this.table, this.remarks.foot.element);
    this.beside = make("div", { class: "beside" }, list, this.panel.element);
    this.empty = emptyStore();
    const heading = make("h1", { class: "unseen" }, "Live: calls as they arrive");
    main.append(heading, this.toolbar.element, this.remarks.element, this.beside, this.empty);
    this.render();
  }

  close() {
    this.remarks.close();
  }

  /** The calls that fit the filter, in order of arrival. */
  get calls() {
    return (this.found ?? this.list.calls).filter((call) => fits(call, this.filter));
  }

  get isFiltered() {
    return Boolean(this.filter.site || this.filter.persona || this.filter.text);
  }

  /** Show calls that were just added to the list. */
  update(added) {
    if (this.isPaused) this.heldBack += added.length;
    else if (this.#isBehind(added)) this.render();
    else this.#prepend(added.filter((call) => fits(call, this.filter)));
    this.remarks.tell();
  }

  /** Forget all rows: the store was emptied. */
  emptied() {
    this.found = null;
    this.heldBack = 0;
    this.chosen = null;
    if (this.panel.isOpen) this.panel.close();
    this.render();
  }

  pause() {
    this.isPaused = !this.isPaused;
    this.heldBack = 0;
    this.toolbar.paused(this.isPaused);
    say(this.isPaused ? "The list is paused." : "The list goes on.");
    if (this.isPaused) this.remarks.tell();
    else this.render();
  }

  search() {
    this.toolbar.search.focus();
    this.toolbar.search.select();
  }

  /** Go some rows down or, with a negative number, up. */
  step(by) {
    const at = [...this.body.children].indexOf(this.chosen);
    if (at + by >= this.body.children.length && this.calls.length > this.limit) this.showMore();
    const rows = this.body.children;
    if (!rows.length) return;
    const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))];
    this.#choose(next);
    if (this.panel.isOpen) this.panel.show(next.call);
  }

  escape() {
    if (this.panel.isOpen) this.panel.close();
    else if (this.filter.text) this.#cleared();
  }

  showMore() {
    this.limit += PAGE;
    this.render();
  }

  /** Show the calls that a search of the store found; null goes back to those of the list. */
  show(found) {
    this.found = found;
    this.limit = PAGE;
    this.render();
  }

  render() {
    const [chosen, hasFocus] = [this.chosen?.dataset.id, this.body.contains(document.activeElement)];
    this.chosen = null;
    this.body.replaceChildren(...this.calls.slice(-this.limit).reverse().map((call) => this.#row(call)));
    const again = [...this.body.children].find((one) => one.dataset.id === chosen);
    if (again) this.#choose(again, hasFocus);
    this.empty.hidden = !this.#isEmpty;
    for (const one of [this.toolbar.element, this.beside]) one.hidden = this.#isEmpty;
    this.#settle();
  }

  get #isEmpty() {
    return this.summary().received === 0 && !this.list.calls.length;
  }

  /** Whether all has to be drawn anew: a call belongs below the first row, or the store is no longer empty. */
  #isBehind(added) {
    const first = this.body.firstChild;
    return this.empty.hidden === this.#isEmpty || Boolean(first && added.length && added[0].id < first.call.id);
  }

  #prepend(calls) {
    if (this.found) this.found = [...this.found, ...calls].slice(-2 * this.limit);
    const rows = calls.slice(-this.limit).reverse().map((call) => this.#row(call));
    if (rows.length < GLOWING) for (const one of rows) one.classList.add("new");
    this.body.prepend(...rows);
    while (this.body.children.length > this.limit) this.body.lastChild.remove();
    if (this.chosen && !this.chosen.isConnected) this.chosen = null;
    this.#settle();
  }

  #settle() {
    const first = this.body.querySelector(".open");
    if (first && !this.chosen) first.tabIndex = 0; // Tab reaches the list, and from there the keys walk in it
    this.toolbar.choices(this.summary(), this.list.calls);
    this.remarks.tell();
  }

  #row(call) {
    const made = row(call, () => {
      this.#choose(made);
      this.panel.show(call);
    });
    made.call = call;
    return made;
  }

  #choose(element, isFocused = true) {
    for (const one of this.body.querySelectorAll(".open[tabindex='0']")) one.tabIndex = -1;
    this.chosen?.classList.remove("chosen");
    this.chosen = element;
    element.classList.add("chosen");
    const open = element.querySelector(".open");
    open.tabIndex = 0;
    if (isFocused) open.focus();
  }

  #cleared() {
    this.filter.text = this.toolbar.search.value = "";
    this.#filtered();
  }

  #filtered() {
    const kept = new URLSearchParams(Object.entries(this.filter).filter(([, value]) => value)).toString();
    history.replaceState(null, "", kept ? `#live?${kept}` : "#live");
    this.show(null);
  }
}
