// The HTTP API as this page asks it. The access token is a private member of the one client and stands nowhere else:
// not in storage, not in an address, not in a cookie.

/** What the node answers when it refuses; see "When something is wrong" in docs/http.md. */
export class Problem extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.detail ?? (status === 0 ? "the node does not answer" : `status ${status}`));
    this.status = status;
    /** @type {string} */
    this.code = body?.code ?? "";
    this.details = body?.details;
    this.currentRevision = body?.current_revision;
  }
}

/** A number that a double would not show as it is stored: 1.0, 9007199254740993. */
export class Exact extends String {}

const inexact = /\d{16}|\d\.\d*0(?!\d)|\d[eE]|-0(?![.\d])/;

/** JSON whose numbers are told as they were written. @param {string} text */
export function parseExact(text) {
  if (!inexact.test(text)) return JSON.parse(text);
  /** @type {any} reviver with the source text, which older browsers leave out */
  const revive = (_key, value, context) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source
      ? new Exact(context.source)
      : value;
  return JSON.parse(text, revive);
}

/** @typedef {{ name: string; id: string; data: string }} Message  of an event stream */

/** Takes the text of an event stream apart as it comes; answers the messages that are whole now. */
export function messageReader() {
  let rest = "";
  return (/** @type {string} */ text) => {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop() ?? "";
    const all = blocks.map((block) => {
      const message = { name: "message", id: "", data: "" };
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) message.name = line.slice(7);
        else if (line.startsWith("id: ")) message.id = line.slice(4);
        else if (line.startsWith("data: ")) message.data += line.slice(6);
      }
      return message;
    });
    return all.filter((message) => message.data);
  };
}

/**
 * What is asked: a body that is sent as JSON, the revision that a change depends on; plain: without the token.
 * @typedef {{ body?: unknown; ifMatch?: number; plain?: boolean; signal?: AbortSignal }} Asked
 */
/**
 * Who follows a stream. At a gap changes are missing: read anew.
 * @typedef {{ changes: (messages: Message[]) => void; gap: () => void; state?: (open: boolean) => void }} Follower
 */

export class Client {
  #token = "";
  /** Called when the node lets nobody in with what it was shown. */
  refused = () => {};

  /** @param {string} token */
  signIn(token) {
    this.#token = token.trim();
  }
  get hasToken() {
    return this.#token !== "";
  }

  /** @param {string} method @param {string} path @param {Asked} [asked] */
  async send(method, path, asked = {}) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (this.#token && !asked.plain) headers["Authorization"] = `Bearer ${this.#token}`;
    const body = asked.body === undefined ? undefined : JSON.stringify(asked.body);
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (asked.ifMatch !== undefined) headers["If-Match"] = `"${asked.ifMatch}"`;
    /** @type {Response} */
    let answer;
    try {
      answer = await fetch(path, { method, headers, body, signal: asked.signal, cache: "no-store", credentials: "omit" });
    } catch (why) {
      if (asked.signal?.aborted) throw why;
      throw new Problem(0, null);
    }
    if (answer.ok) return answer;
    const problem = new Problem(answer.status, await answer.json().catch(() => null));
    if (answer.status === 401 && !asked.plain) this.refused();
    throw problem;
  }

  /** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
  async get(path, signal) {
    return parseExact(await (await this.send("GET", path, { signal })).text());
  }

  /** A change. @param {string} method @param {string} path @param {unknown} [body] @param {number} [ifMatch] @returns {Promise<any>} */
  async change(method, path, body, ifMatch) {
    const text = await (await this.send(method, path, { body, ifMatch })).text();
    return text ? JSON.parse(text) : {};
  }

  /** /metrics: open to admins, and without a token to the node's own machine. @param {AbortSignal} signal */
  async metrics(signal) {
    const ask = (plain) => this.send("GET", "/metrics", { plain, signal });
    const answer = await ask(!this.hasToken).catch((why) => {
      if (why.status === 403) return ask(true);
      throw why;
    });
    return answer.text();
  }

  /**
   * Follows an event stream until `signal` ends it; comes back after a break where it was. A page that nobody sees
   * lets go of its connection, of which a browser has six for a node.
   * @param {string} path @param {Follower} to @param {AbortSignal} signal @param {string} [cursor]  to begin behind; now when absent
   */
  async follow(path, to, signal, cursor = "") {
    for (let failures = 0; !signal.aborted; ) {
      const own = new AbortController();
      const onHidden = () => document.hidden && own.abort();
      document.addEventListener("visibilitychange", onHidden);
      try {
        cursor = await this.#read(path, cursor, to, AbortSignal.any([signal, own.signal]), () => (failures = 0));
      } catch (why) {
        if (why instanceof Problem && (why.status === 401 || why.status === 403 || why.status === 404)) return;
        if (why instanceof Problem && why.status === 400) cursor = ""; // of another history
      } finally {
        document.removeEventListener("visibilitychange", onHidden);
      }
      if (signal.aborted) return;
      to.state?.(false);
      await pause(Math.min(10000, 500 * 2 ** failures++), signal);
    }
  }

  /** @param {string} path @param {string} cursor @param {Follower} to @param {AbortSignal} signal @param {() => void} opened */
  async #read(path, cursor, to, signal, opened) {
    const from = cursor ? `${path}${path.includes("?") ? "&" : "?"}after=${encodeURIComponent(cursor)}` : path;
    const answer = await this.send("GET", from, { signal });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (!reader) return cursor;
    to.state?.(true);
    if (!cursor) to.gap(); // what happened between the last read and the beginning of the stream
    opened();
    const read = messageReader();
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const whole = read(part.value);
        if (whole.length === 0) continue;
        cursor = whole[whole.length - 1].id || cursor;
        const changes = whole.filter((m) => m.name === "change");
        if (changes.length) to.changes(changes);
        if (changes.length < whole.length) to.gap();
      }
    } catch {
      // The connection broke, or the page was hidden: the caller comes back with the cursor.
    }
    return cursor;
  }
}

/** After `ms`, and when the page is seen; or when `signal` says so. @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
function pause(ms, signal) {
  return new Promise((done) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    const timer = setTimeout(() => {
      document.addEventListener("visibilitychange", look);
      look();
    }, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), look()), { once: true });
  });
}

/** The client of this page. */
export const node = new Client();
