// The panel beside the live table: one call with all that is known of it.

import { ask } from "./api.js";
import { button, make } from "./dom.js";
import { failure } from "./notices.js";
import { details, title } from "./rows.js";

/** A panel that is hidden until it shows a call. `onClose` is called when a person closes it. */
export class Panel {
  constructor(onClose) {
    this.heading = make("h2", { id: "panel-title", tabindex: -1 });
    this.body = make("div");
    this.element = make(
      "aside",
      { id: "panel", "aria-labelledby": "panel-title", hidden: true },
      make("div", { class: "panel-head" }, this.heading, button("Close", () => this.close(), { "aria-keyshortcuts": "Escape" })),
      this.body,
    );
    this.onClose = onClose;
  }

  get isOpen() {
    return !this.element.hidden;
  }

  show(call) {
    this.heading.textContent = title(call);
    this.body.replaceChildren(...details(call, (id) => this.#showNumber(id)).flat(2).filter(Boolean));
    this.element.hidden = false;
    this.element.scrollTop = 0;
  }

  close() {
    this.element.hidden = true;
    this.onClose();
  }

  async #showNumber(id) {
    try {
      const { calls } = await ask("/api/calls", { since: id - 1, limit: 1 });
      if (calls.length && calls[0].id === id) this.show(calls[0]);
    } catch (error) {
      this.body.append(failure(error));
    }
  }
}
