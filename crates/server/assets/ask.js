// Questions to the API of this server.

const ROOT = "api/v1/";
/** How often a question is put again when the server is busy. */
const REPEATS = 3;

/** An answer that is an error, with the column where there is one. */
export class Problem extends Error {
  constructor({ detail, title, status, parameter, column }) {
    // An error in a condition repeats the condition below its first line.
    super((detail ?? title ?? "The server gave no answer.").split("\n")[0].replace(/^(line \d+, )?column \d+: /, ""));
    this.status = status;
    this.parameter = parameter;
    this.column = column;
  }
}

/** The address of a question. Parameters without a value are left out; a list becomes a JSON array. */
export function address(path, parameters = {}) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (Array.isArray(value)) {
      if (value.length > 0) params.set(name, JSON.stringify(value));
    } else if (value !== undefined && value !== "") {
      params.set(name, value);
    }
  }
  const query = params.toString();
  return ROOT + path + (query && `?${query}`);
}

/** Puts a question. The answer has `data`, and what its headers tell: `cut`, the limit that cut it, and `more`. */
export async function ask(path, parameters, signal) {
  const answer = await send(address(path, parameters), { signal });
  const header = (name) => decoded(answer.headers.get(name));
  const told = {
    source: header("runlineage-source"),
    full: header("runlineage-full-pass"),
    quick: header("runlineage-quick-pass"),
  };
  if (told.source !== null) {
    dispatchEvent(new CustomEvent("mirror", { detail: told }));
  }
  return {
    data: await answer.json(),
    cut: header("runlineage-truncated"),
    more: answer.headers.has("link"),
  };
}

/** Fetches an answer as a file. */
export async function file(from) {
  return (await send(from)).blob();
}

/** Exchanges a token for the cookie of a session. */
export function signIn(token) {
  const headers = { "Content-Type": "application/json" };
  return send(`${ROOT}session`, { method: "POST", headers, body: JSON.stringify({ token }) });
}

async function send(url, options = {}, repeats = REPEATS) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ detail: "The server does not answer. Is `runlineage serve` still running?" });
  }
  if (answer.ok) return answer;
  const wait = Number(answer.headers.get("retry-after"));
  if (answer.status === 429 && repeats > 0 && wait > 0 && wait <= 5) {
    await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    options.signal?.throwIfAborted();
    return send(url, options, repeats - 1);
  }
  const problem = await answer.json().catch(() => ({ status: answer.status }));
  throw new Problem(problem);
}

/** Headers are percent-encoded. */
function decoded(text) {
  try {
    return text === null ? null : decodeURIComponent(text);
  } catch {
    return text;
  }
}
