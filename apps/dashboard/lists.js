// Sessions, workflows, teams and users: filtered, paged by cursor, only what is in view rendered.

import { node, Problem } from "./api.js";
import { append, atMostEvery, button, h } from "./dom.js";
import { number, bytes, moment, ago, plural } from "./format.js";
import { Virtual } from "./virtual.js";

/** @import { View } from "./main.js" */

const page_size = 100;
const most_rows = 20_000; // held; then: a button begins anew behind them
const most_empty = 20; // pages without a match; then: a button goes on looking

/** The entities of one kind that a query finds. */
class Listing {
  /** @type {{ cursor: string | null; items: any[] }[]} each begins behind its cursor */
  pages = [];
  count = 0;
  /** @type {string | null} behind the last page; null: that was the end */
  next = null;
  ended = false;
  #base;
  #signal;

  /** @param {string} base @param {AbortSignal} signal */
  constructor(base, signal) {
    this.#base = base;
    this.#signal = signal;
  }

  async more() {
    const cursor = this.next;
    const got = await node.get(cursor === null ? this.#base : `${this.#base}&cursor=${encodeURIComponent(cursor)}`, this.#signal);
    if (got.items.length > 0) this.pages.push({ cursor, items: got.items });
    this.count += got.items.length;
    this.next = got.next_cursor;
    this.ended = this.next === null;
    return got.items.length;
  }

  /** The page that an entry stands on, and where. @param {number} index */
  place(index) {
    let page = 0;
    while (page < this.pages.length - 1 && index >= this.pages[page].items.length) index -= this.pages[page++].items.length;
    return { page, at: index };
  }
  /** @param {number} index */
  entry(index) {
    const { page, at } = this.place(index);
    return this.pages[page].items[at];
  }

  /** Reads from a page to another one anew; what came behind is asked for when it is scrolled to. @param {number} first @param {number} last */
  async reread(first, last) {
    const kept = this.pages.slice(0, first);
    const fresh = new Listing(this.#base, this.#signal);
    fresh.next = this.pages[first]?.cursor ?? null;
    let empty = 0;
    do if ((await fresh.more()) === 0) ++empty;
    while (!fresh.ended && empty < 3 && fresh.pages.length <= last - first);
    this.pages = [...kept, ...fresh.pages];
    this.count = this.pages.reduce((sum, page) => sum + page.items.length, 0);
    this.next = fresh.next;
    this.ended = fresh.ended;
  }
}

const ages = [["", "any time"], ["3600", "an hour or more"], ["86400", "a day or more"], ["604800", "a week or more"], ["2592000", "30 days or more"]];

/** The query of the node for what the form holds. @param {string} place @param {URLSearchParams} wanted */
function targetOf(place, wanted) {
  const query = new URLSearchParams({ limit: String(page_size) });
  for (const name of ["prefix", "user", "tag", "status"]) if (wanted.get(name)) query.set(name, wanted.get(name) ?? "");
  const [key, ...value] = (wanted.get("metadata") ?? "").split("=");
  if (key && value.length) query.set(`metadata.${key.trim()}`, value.join("=").trim());
  const age = Number(wanted.get("idle"));
  if (age > 0) query.set("active_before", new Date(Date.now() - age * 1000).toISOString());
  return `/v1/${place}?${query}`;
}

/** @param {string} place @param {URLSearchParams} wanted */
function filterForm(place, wanted) {
  const field = (name, label, hint) =>
    h("label", label, h("input", { name, value: wanted.get(name) ?? "", placeholder: hint, autocomplete: "off", spellcheck: "false" }));
  const choice = (name, label, options) =>
    h("label", label, h("select", { name }, options.map(([value, text]) => h("option", { value, selected: (wanted.get(name) ?? "") === value }, text))));
  const form = h("form.filters", { role: "search", "aria-label": `Filter ${place}` },
    field("prefix", "Id begins with", "all"),
    field("user", "User", "anybody"),
    field("tag", "Tag", "any"),
    field("metadata", "Metadata", "name=value"),
    choice("status", "Status", [["", "any"], ["active", "active"], ["hibernated", "hibernated"]]),
    choice("idle", "Not used for", ages),
  );
  const apply = () => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.set(name, String(value));
    const text = query.toString();
    const to = `#/${place}${text ? `?${text}` : ""}`;
    if (location.hash !== to) history.replaceState(null, "", to);
    return query;
  };
  return { form, apply };
}

/** @param {string} place @param {any} one */
function rowOf(place, one) {
  const name = h("a", { href: `#/${place}/${encodeURIComponent(one.id)}`, class: "id" }, one.id);
  const cell = (type, ...children) => h("div", { role: "cell", class: type }, ...children);
  const tags = (one.tags ?? []).slice(0, 4).map((tag) => h("span.tag", tag));
  return h("div.list-row", { role: "row" },
    cell("c-id", name, one.forked_from ? h("span.tag", "fork") : null),
    cell("c-status", h("span", { class: `status ${one.status}` }, one.status)),
    cell("c-user", one.user || "–"),
    cell("c-items num", number(one.items)),
    cell("c-bytes num", bytes(one.bytes)),
    cell("c-tags", tags.length ? tags : "–"),
    cell("c-time num", h("time", { datetime: one.last_activity, title: moment(one.last_activity) }, ago(one.last_activity))),
  );
}
const columns = [["c-id", "Id"], ["c-status", "Status"], ["c-user", "User"], ["c-items num", "Items"], ["c-bytes num", "Size"], ["c-tags", "Tags"], ["c-time num", "Last used"]];

/** @param {View} view @param {string} place */
export function showList({ main, signal, query, linkState }, place) {
  const { form, apply } = filterForm(place, query);
  const scroller = h("div.list-scroll", { tabindex: "0", role: "rowgroup", "aria-label": place });
  const state = h("p.quiet", { role: "status" });
  const more = button("Go on", null, { hidden: true });
  const title = place[0].toUpperCase() + place.slice(1);
  append(main, [
    h("h1", { tabindex: "-1" }, title),
    form,
    h("div.card.list", { role: "table", "aria-label": title, "aria-rowcount": "-1" },
      h("div", { role: "rowgroup" }, h("div.list-row.list-head", { role: "row" }, columns.map(([type, name]) => h("div", { role: "columnheader", class: type }, name)))),
      scroller),
    h("div.row", state, more),
  ]);

  let run = new AbortController();
  let listing = new Listing("", signal);
  let inView = { from: 0, to: 0 };
  let loading = false;
  const rows = new Virtual({
    scroller,
    estimate: 45,
    render: (index) => rowOf(place, listing.entry(index)),
    onRange(from, to) {
      inView = { from, to };
      load();
    },
  }, signal);

  const failed = (why) => {
    if (run.signal.aborted || !(why instanceof Problem)) return;
    state.textContent = `Cannot list: ${why.message}`;
  };
  const tell = () => {
    const found = listing.count === 0 ? `No ${place} here.` : plural(listing.count, place.slice(0, -1));
    state.textContent = listing.ended ? found : `${listing.count ? found : "None"} so far`;
  };

  /** Reads what the view needs, one request at a time. @param {number} [empty] pages without a match so far */
  async function load(empty = 0) {
    if (loading) return;
    loading = true;
    const own = run;
    try {
      more.hidden = true;
      while (!own.signal.aborted && !listing.ended && inView.to >= listing.count - page_size / 2) {
        if (listing.count >= most_rows || empty >= most_empty) {
          more.hidden = false;
          break;
        }
        if ((await listing.more()) === 0) ++empty;
        if (own.signal.aborted) break;
        tell();
        rows.setCount(listing.count);
        rows.layout();
      }
      if (!own.signal.aborted) tell();
    } catch (why) {
      failed(why);
    } finally {
      if (own === run) loading = false;
    }
  }

  /** @param {string | null} [behind]  a cursor */
  function begin(behind = null) {
    run.abort();
    run = new AbortController();
    signal.addEventListener("abort", () => run.abort(), { signal: run.signal });
    listing = new Listing(targetOf(place, apply()), run.signal);
    listing.next = behind;
    loading = false;
    inView = { from: 0, to: 0 };
    scroller.scrollTop = 0;
    rows.setCount(0);
    state.textContent = "Looking…";
    load();
  }
  more.addEventListener("click", () => (listing.count < most_rows ? load() : begin(listing.next)));
  const soon = atMostEvery(300, () => !signal.aborted && begin());
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => (event.preventDefault(), begin()));
  begin();

  let rested = 0; // reading again takes a tenth of the time at most, however long the node looks
  const again = atMostEvery(700, async () => {
    if (signal.aborted) return;
    if (loading || performance.now() < rested) return again();
    loading = true;
    const own = run;
    const began = performance.now();
    try {
      await listing.reread(listing.place(inView.from).page, listing.place(inView.to).page);
      if (own.signal.aborted) return;
      rows.setCount(listing.count);
      rows.refresh();
      tell();
    } catch (why) {
      failed(why);
    } finally {
      rested = performance.now() + 10 * (performance.now() - began);
      if (own === run) loading = false;
    }
  });
  const scope = place.slice(0, -1);
  node.follow(`/v1/events?scopes=${scope}`, { changes: again, gap: again, state: linkState }, signal);
}
