// Lines above a view: errors, news that a view does not show yet, and an empty store.

import { button, counted, make, say } from "./dom.js";

/** A line that something failed, and what to do next. */
export const failure = (error) =>
  make("p", { class: "notice wrong", role: "alert" }, error.message, error.hint ? ` ${error.hint}` : "");

/** A line with a button, made once and changed in place: the button keeps the focus while numbers change. */
export class Line {
  #press = () => {};

  constructor(className = "notice") {
    this.text = make("span");
    this.button = button("", () => this.#press());
    this.element = make("p", { class: className, hidden: true }, this.text, " ", this.button);
  }

  /** Say a text, with a button that does something; without a text the line is hidden. */
  set(text, action = "", press = () => {}) {
    this.element.hidden = !text && !action;
    if (this.text.textContent !== text) this.text.textContent = text;
    if (this.button.textContent !== action) this.button.textContent = action;
    this.button.hidden = !action;
    this.#press = press;
  }
}

/** A line that says how many calls arrived since a view was read, with a button that reads it again. */
export class News extends Line {
  #seen = null;
  #received = null;

  /** Begin anew: the view is read again. */
  forget() {
    this.#seen = this.#received;
    this.set("");
  }

  /** Learn how many calls the store has received. The first number is where the view stands. */
  learn(received, refresh) {
    this.#received = received;
    this.#seen ??= received;
    const since = received - this.#seen;
    const text = since > 0 ? `${counted(since, "call has", "calls have")} arrived since.` : "The store was emptied.";
    this.set(since ? text : "", since ? "Show the new state" : "", refresh);
  }
}

/** How to fill an empty store: commands to copy. */
export function emptyStore() {
  const here = window.location.origin;
  return make(
    "section",
    { class: "empty" },
    make("h1", {}, "No calls yet"),
    make("p", {}, "Send something. It shows here as soon as it arrives, and nothing reaches Kissmetrics."),
    command("A log, by km-cli", `KM_API_KEY=test km-cli import events.csv --to ${here} --yes`),
    command("One event, by curl", `curl '${here}/e?_k=test&_p=ada%40example.com&_n=Signed+Up&plan=Business'`),
    command("A property, by curl", `curl '${here}/s?_k=test&_p=ada%40example.com&seats=12'`),
    make("p", { class: "quiet" }, "Any key will do: each key becomes a site of its own, and the key itself is not stored. ",
      "samples/README.md has the same for Python and JavaScript."),
  );
}

function command(name, text) {
  const copy = button("Copy", async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
      say("The command is copied.");
    } catch {
      window.getSelection().selectAllChildren(code);
      say("The command is selected: copy it from there.");
    }
  }, { "aria-label": `Copy the command: ${name}` });
  const code = make("code", {}, text);
  return make("div", { class: "command" }, make("h2", {}, name), make("pre", { tabindex: 0, role: "group", "aria-label": name }, code), copy);
}
