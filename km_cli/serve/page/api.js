// The JSON API of the server that served this page.

/** A refusal of the server, or its silence: `message` says what went wrong, `hint` what to do next. */
export class ApiError extends Error {
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

/** Ask for `path` and return the JSON. `wanted` are query parameters; empty ones are left out. */
export async function ask(path, wanted = {}, options = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted)) {
    for (const one of [value].flat()) if (one !== "" && one !== null && one !== undefined) query.append(name, one);
  }
  const text = query.toString();
  let answer;
  try {
    answer = await fetch(text ? `${path}?${text}` : path, { cache: "no-store", redirect: "error", ...options });
  } catch {
    throw new ApiError("The server does not answer.", "Look at the terminal in which km-cli serve runs.", 0);
  }
  const found = await answer.json().catch(() => null);
  if (answer.ok && found !== null) return found;
  throw new ApiError(
    found?.error ?? `The server answered with ${answer.status}.`,
    found?.hint ?? "Look at the terminal in which km-cli serve runs.",
    answer.status,
  );
}

/** Delete all calls of the store. */
export const deleteCalls = () =>
  ask("/api/calls", {}, { method: "DELETE", headers: { "Content-Type": "application/json" }, body: "{}" });
