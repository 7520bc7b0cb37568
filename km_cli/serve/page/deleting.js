// The question before all calls are deleted.

import { deleteCalls } from "./api.js";
import { button, counted, make, say } from "./dom.js";
import { failure } from "./notices.js";

/** Ask, and delete all calls if the answer is yes. The stream tells the page that they are gone. */
export function confirmDeletion(received) {
  const problem = make("div");
  const remove = async () => {
    try {
      await deleteCalls();
      say("All calls are deleted.");
      dialog.close();
    } catch (error) {
      problem.replaceChildren(failure(error));
    }
  };
  const dialog = make(
    "dialog",
    { "aria-labelledby": "delete-title", on: { close: () => dialog.remove() } },
    make("h2", { id: "delete-title" }, `Delete ${counted(received, "call")}?`),
    make("p", {}, "The store forgets all people, events and properties. Kissmetrics itself is not touched."),
    problem,
    make("div", { class: "answers" }, button("Keep them", () => dialog.close(), { autofocus: true }), button("Delete all", remove, { class: "danger" })),
  );
  document.body.append(dialog);
  dialog.showModal();
}
