// The event stream: messages as they come, and a new connection after each that is lost.

const WAITS = [500, 1000, 2000, 5000]; // milliseconds between attempts; the last one is repeated

/**
 * Listen for ever. `onMessage` gets each message's object, `onState` "open" or "lost" when that changes.
 *
 * The browser's own reconnection gives up after some answers (a proxy's 502), so this page opens a new
 * connection itself.
 */
export function listen(onMessage, onState) {
  let failures = 0;
  const open = () => {
    const source = new EventSource("/api/stream");
    source.addEventListener("open", () => {
      failures = 0;
      onState("open");
    });
    source.addEventListener("calls", (event) => onMessage(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      source.close();
      onState("lost");
      setTimeout(open, WAITS[Math.min(failures, WAITS.length - 1)]);
      failures += 1;
    });
  };
  open();
}
