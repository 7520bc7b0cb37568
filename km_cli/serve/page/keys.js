// The keys of the page. They do nothing while a field has the focus, or with Ctrl, Alt or Meta.

const VIEWS = ["#live", "#people", "#events", "#facts", "#funnel"];

/** Bind the keys. `view()` returns the view that is open. */
export function bindKeys(view) {
  const help = document.getElementById("help");
  const showHelp = () => help.open || help.showModal();
  document.getElementById("help-button").addEventListener("click", showHelp);
  const effects = {
    "/": () => view().search(),
    j: () => view().step(1),
    k: () => view().step(-1),
    ArrowDown: () => view().step(1),
    ArrowUp: () => view().step(-1),
    p: () => view().pause?.(),
    "?": showHelp,
    Escape: () => view().escape(),
  };
  VIEWS.forEach((hash, at) => (effects[at + 1] = () => (window.location.hash = hash)));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const isTyping = event.target.matches("input, select, textarea");
    if (isTyping && event.key !== "Escape") return;
    const isArrow = event.key.startsWith("Arrow");
    if (isArrow && !event.target.matches(".open")) return; // elsewhere the arrows scroll
    const effect = effects[event.key];
    if (!effect) return;
    event.preventDefault();
    effect();
    if (isTyping) event.target.blur();
  });
}
