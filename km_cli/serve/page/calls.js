// The calls that the page holds: the newest ones, so that its memory is bounded however many arrive.

/** The most calls in the page. Older ones fall off; the store has them all. */
export const MOST = 2000;

/** Calls in order of arrival, each once. Arrival numbers (`id`) have no gaps, so that missing ones can be counted. */
export class CallList {
  calls = [];
  /** The number of the last call that the server has. */
  last = 0;
  /** Whether the server is known to have no call before the oldest one. */
  isWhole = false;

  /** The number of the last call in the list; 0 if it is empty. */
  get newest() {
    return this.calls.length ? this.calls[this.calls.length - 1].id : 0;
  }

  /** The number of the oldest call in the list; 0 if it is empty. */
  get oldest() {
    return this.calls.length ? this.calls[0].id : 0;
  }

  /** How many calls between the oldest and the newest one are not in the list. */
  get missing() {
    return this.calls.length ? this.newest - this.oldest + 1 - this.calls.length : 0;
  }

  /** Learn the server's counts. Returns true if the store was emptied: then the list is, too. */
  expect({ last, received }) {
    const isEmptied = this.calls.length > received || last < this.newest;
    if (isEmptied) {
      this.calls = [];
      this.isWhole = true;
    }
    this.last = last;
    return isEmptied;
  }

  /** Add calls in any order, and return those that were not in the list, in order of arrival. */
  add(calls) {
    const known = new Set(this.calls.map((call) => call.id));
    const added = calls.filter((call) => !known.has(call.id)).sort((one, other) => one.id - other.id);
    if (!added.length) return added;
    const isLater = added[0].id > this.newest;
    this.calls.push(...added);
    if (!isLater) this.calls.sort((one, other) => one.id - other.id);
    if (this.calls.length > MOST) {
      this.calls.splice(0, this.calls.length - MOST);
      this.isWhole = false;
    }
    this.last = Math.max(this.last, this.newest);
    return added;
  }
}

/** Whether a call fits a filter: its site, its persona, and a text anywhere in its person, name or properties. */
export function fits(call, { site, persona, text }) {
  if (site && call.site !== site) return false;
  if (persona && call.persona !== persona) return false;
  return !text || searched(call).includes(text.toLowerCase());
}

function searched(call) {
  const parts = [call.person, call.name];
  for (const [name, value] of Object.entries(call.properties ?? {})) parts.push(name, value);
  return parts.join("\n").toLowerCase();
}
