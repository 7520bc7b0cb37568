// Sends the queue `_kmq` of a page to a local Kissmetrics (km-cli serve), in the place of Kissmetrics' own script:
//
//   <script>var _kmq = _kmq || [];</script>
//   <script src="kmq.js" data-address="http://127.0.0.1:8808" data-key="test"></script>
//
// It is for trials. Like Kissmetrics' script it makes up an identity for a visitor, and joins it by an alias with the
// person that `identify` names.
(() => {
  const { address, key } = document.currentScript.dataset;
  let person = `visitor ${Math.random().toString(36).slice(2)}`;
  let isVisitor = true;

  function send(kind, parameters) {
    const query = new URLSearchParams({ _k: key, _p: person, ...parameters });
    new Image().src = `${address}/${kind}?${query}`;
  }

  const calls = {
    identify(name) {
      const before = person;
      person = name;
      if (isVisitor) send("a", { _n: before });
      isVisitor = false;
    },
    record: (name, properties) => send("e", { _n: name, ...properties }),
    set: (properties) => send("s", properties),
    alias: (one, other) => send("a", { _p: one, _n: other }),
  };

  function push(...entries) {
    for (const entry of entries) {
      if (typeof entry === "function") entry();
      else calls[entry[0]]?.(...entry.slice(1));
    }
  }

  const waiting = window._kmq ?? [];
  window._kmq = { push };
  push(...waiting);
})();
