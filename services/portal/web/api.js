// Asks the portal, and nobody else. Where it wants a token, the page asks its user, and keeps it for this tab.

const TOKEN = "paperless-token";

/** What the portal refused, or that it is away (status 0). */
export class Refusal extends Error {
  /** @param {number} status @param {any} problem */
  constructor(status, problem) {
    super(problem?.detail ?? (status ? `HTTP ${status}` : "away"));
    this.status = status;
    this.problem = problem;
  }
}

export const token = {
  wanted: false,
  get: () => sessionStorage.getItem(TOKEN),
  /** @param {string} value */
  set(value) {
    sessionStorage.setItem(TOKEN, value);
    token.wanted = false;
  },
};

/** @param {string} path @param {RequestInit} [options] */
async function asked(path, options = {}) {
  const headers = new Headers(options.headers);
  const known = token.get();
  if (known) headers.set("authorization", `Bearer ${known}`);
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(0, null);
  }
  if (answer.status === 401) token.wanted = true;
  if (!answer.ok) throw new Refusal(answer.status, await answer.json().catch(() => null));
  return answer;
}

/**
 * @param {string} path
 * @param {{method?: string, body?: any, headers?: Record<string, string>}} [options]
 * @returns {Promise<any>}
 */
export async function json(path, { method = "GET", body, headers = {} } = {}) {
  const answer = await asked(path, {
    method,
    headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return answer.json();
}

/**
 * What is answered, and with which status: 202 says that an answer is being worked on.
 * @param {string} path
 * @param {string} [method]
 * @returns {Promise<[number, any]>}
 */
export async function outcome(path, method = "GET") {
  const answer = await asked(path, { method });
  return [answer.status, await answer.json()];
}

/** Save what an address gives: a link would send no token. @param {string} path @param {string} name */
export async function save(path, name) {
  const url = URL.createObjectURL(await (await asked(path)).blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/**
 * Read server-sent events until the stream ends; `EventSource` could send no token.
 * @param {string} path
 * @param {(name: string, data: any) => void} heard
 * @param {AbortSignal} signal
 * @param {() => void} [alive]
 */
export async function listen(path, heard, signal, alive = () => {}) {
  const answer = await asked(path, { signal, headers: { accept: "text/event-stream" } });
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    text += value;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const each of events) {
      const fields = Object.fromEntries(
        each
          .split("\n")
          .filter((line) => line.includes(": "))
          .map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]),
      );
      if (fields.data) heard(fields.event ?? "message", JSON.parse(fields.data));
    }
  }
}
