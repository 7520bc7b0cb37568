// What the live view says about its list: a pause, calls that are not listed, and where the list ends.

import { ask } from "./api.js";
import { MOST } from "./calls.js";
import { counted, make, number, say } from "./dom.js";
import { failure, Line } from "./notices.js";

const A_REQUEST = 500; // calls that one request loads
const PATIENCE = 1000; // milliseconds that calls may be on their way before the page calls them missing

export class Remarks {
  #timer = null;
  #awaited = null; // the last call of the server that is still on its way

  constructor(view) {
    this.view = view;
    this.pause = new Line();
    this.missing = new Line();
    this.search = new Line();
    this.foot = new Line("foot");
    this.errors = make("div");
    this.element = make("div", { class: "notices" }, this.pause.element, this.missing.element, this.search.element, this.errors);
  }

  close() {
    clearTimeout(this.#timer);
  }

  /** Say how things stand now. */
  tell() {
    const { view } = this;
    const held = view.heldBack ? ` ${counted(view.heldBack, "call has", "calls have")} arrived since.` : "";
    if (view.isPaused) this.pause.set(`Paused.${held}`, "Go on", () => view.pause());
    else this.pause.set("");
    if (view.found) {
      const found = counted(view.calls.length, "call");
      const text = `${view.found.length < A_REQUEST ? found : `The newest ${found}`} of all ${number(view.summary().received)}.`;
      this.search.set(text, "Back to the newest calls", () => view.show(null));
    } else this.search.set("");
    this.#tellFoot();
    this.#timer ??= setTimeout(() => this.#tellMissing(), PATIENCE);
  }

  /** Say how many calls are not listed. Those at the end may be on their way: they count at the second look. */
  #tellMissing() {
    this.#timer = null;
    const { list } = this.view;
    const isLate = list.last > list.newest;
    const tail = isLate && this.#awaited === list.last ? list.last - list.newest : 0;
    this.#awaited = isLate ? list.last : null;
    if (isLate && !tail) this.#timer = setTimeout(() => this.#tellMissing(), PATIENCE);
    const missing = list.calls.length ? list.missing + tail : 0;
    const text = `${counted(missing, "call is", "calls are")} not listed: the page could not keep up, or was not connected. The store has all of them.`;
    if (missing) this.missing.set(text, "List the newest calls", () => this.#load(this.missing, () => this.#fill()));
    else this.missing.set("");
  }

  #tellFoot() {
    const { view } = this;
    const [{ list }, fit, all] = [view, view.calls.length, view.summary().received];
    const listed = `The page holds the newest ${number(list.calls.length)} of ${counted(all, "call")}.`;
    if (fit > view.limit) {
      this.foot.set(`${number(view.limit)} of ${counted(fit, "call")}.`, "Show more", () => view.showMore());
    } else if (view.found) {
      this.foot.set(fit ? "" : "No call matches.");
    } else if (view.isFiltered) {
      const none = fit ? "" : "No call matches. ";
      if (all > list.calls.length) this.foot.set(none + listed, "Search all calls", () => this.#load(this.foot, () => this.#searchAll()));
      else this.foot.set(none);
    } else if (!list.isWhole && all > list.calls.length && list.calls.length < MOST) {
      this.foot.set(listed, "Load earlier calls", () => this.#load(this.foot, () => this.#earlier()));
    } else {
      this.foot.set(all > list.calls.length ? `${listed} ${this.#why()}` : "");
    }
  }

  #why() {
    const { unlisted = 0 } = this.view.summary();
    if (this.view.list.calls.length >= MOST) return "Search, or open a person, to see the others.";
    return unlisted ? `${counted(unlisted, "call")} came before the store listed calls.` : "";
  }

  async #load(line, work) {
    line.button.disabled = true;
    this.errors.replaceChildren();
    try {
      await work();
    } catch (error) {
      this.errors.replaceChildren(failure(error));
    } finally {
      line.button.disabled = false;
      this.tell();
    }
  }

  /** Load the newest calls until no call between them is missing, or the page is full. */
  async #fill() {
    const { list } = this.view;
    const until = list.last;
    for (let before = until + 1, got = 0; got < MOST && before > 1; ) {
      const { calls } = await ask("/api/calls", { newest: 1, before, limit: A_REQUEST });
      if (!calls.length) break;
      list.add(calls);
      got += calls.length;
      before = calls[0].id;
      if (!list.missing && list.newest >= until) break;
    }
    this.view.render();
    this.#tellMissing();
    say(`${counted(list.calls.length, "call")} listed.`);
  }

  async #earlier() {
    const { list } = this.view;
    const limit = Math.min(A_REQUEST, MOST - list.calls.length);
    const { calls } = await ask("/api/calls", { newest: 1, before: list.oldest, limit });
    list.add(calls);
    list.isWhole = calls.length < limit;
    this.view.limit += calls.length;
    this.view.render();
    say(`${counted(calls.length, "earlier call")} loaded.`);
  }

  async #searchAll() {
    const { filter } = this.view;
    const { calls } = await ask("/api/calls", { newest: 1, limit: A_REQUEST, ...filter });
    this.view.show(calls);
    say(`${counted(calls.length, "call")} found.`);
  }
}
