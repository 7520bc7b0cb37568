// A view that reads its data once, and again when asked: a heading, tools, and the data below.

import { make } from "./dom.js";
import { failure, News } from "./notices.js";

export class DataView {
  /** The texts of the tab and of the heading; the derived view sets them. */
  name = "";
  heading = "";

  open(main) {
    this.news = new News();
    this.content = make("div", { class: "content", "aria-busy": "true" });
    main.append(make("h1", {}, this.heading), this.tools(), this.news.element, this.content);
    return this.refresh();
  }

  close() {
    this.isClosed = true;
  }

  /** Elements between the heading and the data. */
  tools() {
    return "";
  }

  /** Say how many calls have arrived since the view was read. */
  learn({ received }) {
    this.news.learn(received, () => this.refresh());
  }

  /** Read the data again and draw it. An answer that a later one has overtaken is not drawn. */
  async refresh() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    this.news.forget();
    let drawn;
    try {
      drawn = this.draw(await this.read());
    } catch (error) {
      drawn = [failure(error)];
    }
    if (turn !== this.turn || this.isClosed) return;
    this.content.replaceChildren(...drawn.flat().filter(Boolean));
    this.content.setAttribute("aria-busy", "false");
  }

  /** Move the focus some rows down or, with a negative number, up. */
  step(by) {
    const stops = [...this.content.querySelectorAll(".open")];
    if (!stops.length) return;
    const at = stops.indexOf(document.activeElement);
    stops[at < 0 ? 0 : Math.max(0, Math.min(stops.length - 1, at + by))].focus();
  }

  escape() {}

  search() {}
}
