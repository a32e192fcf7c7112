// A session's history, of any length. A row stands for a sequence number, so any place is one request away; numbers
// that were taken back have no height.

import { node } from "./api.js";
import { append, atMostEvery, button, fill, h, scrolling, stamp } from "./dom.js";
import { plural } from "./format.js";
import { chatView, callsOf, exchangeView, isStep, storedView } from "./item.js";
import { brief } from "./value.js";
import { Virtual } from "./virtual.js";
import { showWork } from "./work.js";

/** @import { Part } from "./entity.js" */
/** @import { Item, Turn } from "./item.js" */

const chunk_size = 100; // items in a request
const most_chunks = 60; // kept; then: the one that was not used for longest goes
const window_size = 100_000; // rows, for a browser's tallest page; then: the place to jump to moves them
const most_hits = 50; // of a search; then: a button goes on

/** What is held of a history, by sequence number. */
class Held {
  first = 1;
  last = 0;
  /** @type {Map<number, Map<number, Item>>} number of a chunk -> its items */
  #chunks = new Map();
  /** @type {Map<number, object>} number of a chunk -> the request that is under way */
  #asked = new Map();
  /** @type {Set<number>} chunks to be read again; what they held is shown until then */
  #stale = new Set();
  #base;
  #signal;

  /** @param {string} base @param {AbortSignal} signal */
  constructor(base, signal) {
    this.#base = base;
    this.#signal = signal;
  }
  /** @param {string} query @returns {Promise<{ items: Item[]; next_cursor: string | null }>} */
  ask(query) {
    return node.get(`${this.#base}/items?${query}`, this.#signal);
  }
  /** Where it begins and ends now. */
  async span() {
    const [oldest, newest] = await Promise.all([this.ask("after=0&limit=1"), this.ask("last=1")]);
    this.first = oldest.items[0]?.seq ?? 1;
    this.last = newest.items[0]?.seq ?? 0;
  }
  /** What stands at a number and behind it may be other items now. @param {number} seq */
  outdate(seq) {
    this.#asked.clear();
    for (const at of this.#chunks.keys()) if (at >= Math.floor(seq / chunk_size)) this.#stale.add(at);
  }

  /** The item; null: there is none; undefined: not known yet. @param {number} seq */
  item(seq) {
    const at = Math.floor(seq / chunk_size);
    const chunk = this.#chunks.get(at);
    if (!chunk) return undefined;
    this.#chunks.delete(at); // used now: to the end of the map
    this.#chunks.set(at, chunk);
    return chunk.get(seq) ?? null;
  }

  /**
   * Asks for what is missing between two numbers, and tells between which there is something else than before. A number
   * is never given to another item, so what is there already stays as it is rendered.
   * @param {number} from @param {number} to @param {(from: number, to: number) => void} came
   */
  fetch(from, to, came) {
    for (let at = Math.floor(from / chunk_size); at <= Math.floor(to / chunk_size); ++at) {
      if ((this.#chunks.has(at) && !this.#stale.has(at)) || this.#asked.has(at)) continue;
      const request = {};
      this.#asked.set(at, request);
      this.#read(at).then(
        (items) => {
          if (this.#asked.get(at) !== request) return; // outdated meanwhile
          this.#asked.delete(at);
          this.#stale.delete(at);
          const before = this.#chunks.get(at);
          this.#chunks.set(at, items);
          if (this.#chunks.size > most_chunks) this.#chunks.delete(this.#chunks.keys().next().value ?? -1);
          const all = Array.from({ length: chunk_size }, (_, i) => at * chunk_size + i);
          const other = all.filter((seq) => !before || before.has(seq) !== items.has(seq));
          if (other.length) came(other[0], other[other.length - 1]);
        },
        () => this.#asked.delete(at),
      );
    }
  }
  /** @param {number} at */
  async #read(at) {
    const end = (at + 1) * chunk_size - 1;
    /** @type {Map<number, Item>} */
    const out = new Map();
    for (let after = at * chunk_size - 1; after < end; ) {
      const page = await this.ask(`after=${Math.max(0, after)}&limit=${chunk_size}`);
      for (const item of page.items) if (item.seq <= end) out.set(item.seq, item);
      const newest = page.items.at(-1)?.seq;
      if (page.next_cursor === null || newest === undefined) break;
      after = newest;
    }
    return out;
  }
}

const views = [["chat", "Chat"], ["exchange", "Request / response"], ["stored", "As stored"]];

/** @type {Part} */
export const showHistory = (entity, to) => {
  const held = new Held(entity.base, entity.signal);
  let view = "chat";
  let base = 1; // the sequence number of row 0
  let ready = false;
  /** @type {Set<number>} requests whose steps are unfolded */
  const open = new Set();

  const scroller = scrolling("history", "History");
  const state = h("p.quiet", { role: "status" });
  const hits = h("div.hits", { hidden: true });
  const jump = h("input", { type: "number", min: "1", inputmode: "numeric", "aria-label": "Go to item", placeholder: "item #" });
  const words = h("input", { type: "search", "aria-label": "Search this history", placeholder: "Search" });
  const choices = views.map(([name, text]) => button(text, () => setView(name), { "aria-pressed": String(name === view) }));
  const tools = h("div.row.tools",
    h("div.choice", { role: "group", "aria-label": "View" }, choices),
    h("form.row", { onsubmit: (event) => (event.preventDefault(), goTo(Number(jump.value))) }, jump, h("button", "Go"), button("Newest", () => goTo(held.last))),
    h("form.row.grow", { role: "search", onsubmit: (event) => (event.preventDefault(), search()) }, words, h("button", "Search")),
  );
  const aside = h("aside.beside", { "aria-label": "Work" });
  append(to, [h("div.split", h("div.card.history-card", tools, hits, scroller, state), aside)]);
  const workChanged = showWork(entity, aside);

  /** Items came; the end stays in view where it was. @param {number} from @param {number} until */
  const came = (from, until) => {
    const { atEnd } = rows;
    rows.refresh((view === "exchange" ? (requestOf(from) ?? from) : from) - base, until - base);
    rows.layout();
    if (atEnd) rows.scrollTo(rows.count - 1);
  };
  const rows = new Virtual({
    scroller,
    estimate: 84,
    render: (index) => row(base + index),
    onRange: (from, last) => ready && held.fetch(base + from, base + last, came),
  }, entity.signal);

  /** The request that a step belongs to, of what is held. @param {number} seq */
  function requestOf(seq) {
    for (let at = seq; at > seq - chunk_size && at >= held.first; --at) {
      const item = held.item(at);
      if (item?.role === "user") return at;
    }
    return null;
  }
  /** @param {number} seq @returns {Turn} */
  function turnOf(seq) {
    const steps = [];
    for (let at = seq + 1; at < seq + chunk_size && at <= held.last; ++at) {
      const item = held.item(at);
      if (item === undefined || item?.role === "user") break;
      if (item && isStep(item)) steps.push(...(callsOf(item).length ? callsOf(item).map((c) => c.name) : [String(item.name ?? item.role ?? "item")]));
    }
    const toggle = () => {
      if (!open.delete(seq)) open.add(seq);
      rows.refresh(seq - base, seq - base + chunk_size);
      rows.layout();
      /** @type {HTMLElement | null} */ (scroller.querySelector(`#item-${seq} .steps`))?.focus();
    };
    return { seq, steps, open: open.has(seq), toggle };
  }
  /** @param {number} seq */
  function row(seq) {
    const item = held.item(seq);
    if (item === null) return null;
    if (item === undefined) return h("div.item.waiting", { "aria-hidden": "true" }, h("span.seq", `#${seq}`));
    if (view === "stored") return storedView(item);
    if (view === "chat") return chatView(item);
    if (!isStep(item)) return exchangeView(item, item.role === "user" ? turnOf(seq) : null);
    const request = requestOf(seq);
    return request === null || open.has(request) ? chatView(item) : null;
  }

  /** @param {string} name */
  function setView(name) {
    view = name;
    choices.forEach((choice, i) => choice.setAttribute("aria-pressed", String(views[i][0] === name)));
    const atEnd = rows.atEnd;
    rows.reset();
    if (atEnd) rows.scrollTo(rows.count - 1);
  }
  function tell() {
    const part = held.last - held.first < window_size ? "" : `; from #${base} to #${base + rows.count - 1} can be scrolled to`;
    state.textContent = held.last === 0 ? "No items yet." : `${plural(entity.info.items, "item")}, #${held.first} to #${held.last}${part}`;
  }
  /** Rows for numbers up to the newest, or around a place. @param {number} [near] */
  function setWindow(near = held.last) {
    const first = Math.max(held.first, Math.min(near - window_size / 2, held.last - window_size + 1));
    if (first !== base) rows.reset();
    base = first;
    rows.setCount(Math.max(0, Math.min(window_size, held.last - base + 1)));
    tell();
  }
  /** @param {number} seq */
  function goTo(seq) {
    if (!(seq >= 1)) return;
    const within = Math.min(held.last, Math.max(held.first, seq));
    if (within < base || within >= base + rows.count) setWindow(within);
    held.fetch(within - 10, within + 20, (from, until) => (came(from, until), rows.scrollTo(within - base)));
    rows.scrollTo(within - base);
  }

  /** @param {string} [cursor] */
  async function search(cursor) {
    const text = words.value.trim();
    hits.hidden = text === "";
    if (text === "") return;
    const page = await held.ask(`q=${encodeURIComponent(text)}&limit=${most_hits}${cursor ? `&cursor=${cursor}` : "&after=0"}`).catch((why) => why);
    if (page instanceof Error) return fill(hits, h("p", { role: "alert" }, page.message));
    const found = page.items.map((item) => h("li", h("button", { type: "button", onclick: () => goTo(item.seq) }, h("span.seq", `#${item.seq}`), h("span.who", String(item.role ?? "item")), h("span.call-brief", brief(around(item, text), 120)), stamp(item.at))));
    const more = page.next_cursor ? button("More", () => search(page.next_cursor)) : null;
    fill(hits, h("div.row", h("strong", { role: "status" }, found.length ? `${plural(found.length, "item")} with “${text}”` : `Nothing with “${text}”`), more, button("Close", () => (hits.hidden = true), { class: "quiet" })), h("ol", found));
  }

  async function begin() {
    await held.span();
    ready = true;
    setWindow();
    rows.scrollTo(rows.count - 1);
  }
  begin().catch(() => {});

  /** Reads again what may be other items now. @param {boolean} all  else only what is new */
  async function reread(all) {
    const { atEnd } = rows;
    const before = held.last;
    await held.span().catch(() => {});
    if (!all && held.last === before) return;
    held.outdate(all ? 0 : before + 1);
    if (before === 0 || base < held.first || atEnd) setWindow();
    else setWindow(Math.min(held.last, base + window_size / 2));
    rows.layout();
    if (atEnd) rows.scrollTo(rows.count - 1);
  }
  const appended = atMostEvery(100, () => reread(false));
  const rewritten = atMostEvery(100, () => reread(true));
  return (events) => {
    workChanged?.(events);
    const about = events.filter((name) => name.startsWith("items_"));
    const back = events.some((name) => ["undone", "redone", "restored", "merged", "created", "forked"].includes(name));
    if (events.length === 0 || back || about.some((name) => name !== "items_appended")) rewritten();
    else if (about.length > 0) appended();
  };
};

/** The text around what was found, of any string in an item. @param {Item} item @param {string} text */
function around(item, text) {
  const all = typeof item.content === "string" ? item.content : JSON.stringify(item);
  const at = Math.max(0, all.toLowerCase().indexOf(text.toLowerCase()) - 30);
  return (at > 0 ? "…" : "") + all.slice(at, at + 200);
}
