// The node at a glance: counts, rates, commit latency, memory, cache, and the changes as they come.

import { node } from "./api.js";
import { createChart } from "./chart.js";
import { append, fill, h, stamp } from "./dom.js";
import { createFeed, eventsText } from "./feed.js";
import { number, short, bytes, duration } from "./format.js";
import { between, parseMetrics, quantile, rate } from "./metrics.js";

/** @import { View } from "./main.js" */
/** @import { Message } from "./api.js" */
/** @import { Sample } from "./metrics.js" */
/** @import { Spec } from "./chart.js" */

const window_s = 300; // shown; then: the oldest sample goes
const busy_ms = 1000; // between samples while changes come
const quiet_ms = 5000; // and while none do
const most_events = 100; // in the feed; then: the oldest goes

/** @typedef {Record<string, number | null> & { at: number }} Row  of numbers at a moment */

/** @param {Sample | null} a  the sample before @param {Sample} b @returns {Row} */
export function rowOf(a, b) {
  const level = (name) => b.values.get(name) ?? null;
  const per = (name) => (a ? rate(a, b, name) : null);
  const times = a ? between(a, b, "troupe_commit_time_seconds") : [];
  const [commits, changes] = [per("troupe_commits_total"), per("troupe_changes_total")];
  const [live, stored] = [level("troupe_live_entities"), level("troupe_stored_entities")];
  return {
    at: b.at,
    live,
    hibernated: live === null || stored === null ? null : Math.max(0, stored - live),
    changes,
    commits,
    batch: commits && changes !== null ? changes / commits : null,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    memory: level("troupe_anonymous_memory_bytes"),
    tail: level("troupe_journal_tail_bytes"),
    store: level("troupe_store_bytes"),
    cache: level("troupe_cache_bytes"),
    hits: per("troupe_cache_hits_total"),
    misses: per("troupe_cache_misses_total"),
    woken: per("troupe_activations_total"),
    slept: per("troupe_hibernations_total"),
  };
}

/** @typedef {{ name: string; series: [string, string, number?][]; kind: Spec["kind"]; text: (y: number) => string; scale?: Spec["yScale"] }} Plot */
/** @type {Plot[]} */
const plots = [
  { name: "Changes and commits", kind: "line", series: [["changes", "changes"], ["commits", "commits"]], text: (y) => `${number(y)}/s` },
  { name: "Commit latency", kind: "line", series: [["p50", "p50"], ["p99", "p99"]], text: duration, scale: "log" },
  { name: "Changes in one commit", kind: "step", series: [["mean", "batch", 3]], text: number },
  { name: "Live and hibernated", kind: "area", series: [["live", "live"], ["hibernated", "hibernated", 4]], text: number },
  { name: "Woken and put to sleep", kind: "line", series: [["woken", "woken", 3], ["put to sleep", "slept", 4]], text: (y) => `${number(y)}/s` },
  { name: "Memory of the process", kind: "line", series: [["its own", "memory", 4], ["cache", "cache", 5]], text: bytes, scale: "bytes" },
  { name: "Disk", kind: "line", series: [["data file", "store"], ["journal to replay", "tail", 2]], text: bytes, scale: "bytes" },
  { name: "Result cache", kind: "line", series: [["hits", "hits", 3], ["misses", "misses", 2]], text: (y) => `${number(y)}/s` },
];

/** @param {Plot} plot @param {Row[]} rows @returns {Spec} */
function specOf({ name, kind, series, text, scale }, rows) {
  const columns = series.map(([label, column, colour]) => ({ name: label, y: rows.map((row) => row[column]), colour }));
  return { kind, title: name, x: rows.map((row) => row.at), xScale: "time", yScale: scale, yText: text, series: columns, height: 160 };
}

/** How long commits took. @param {Sample} a @param {Sample} b @returns {Spec} */
function histogramOf(a, b) {
  const buckets = between(a, b, "troupe_commit_time_seconds");
  const last = buckets.at(-2)?.[0] ?? 1; // behind it is one that is open: as wide as four times its begin
  const edges = [(buckets[0]?.[0] ?? 1) / 2, ...buckets.map(([bound]) => Math.min(bound, last * 4))];
  return {
    kind: "bars",
    title: "Commit latency since this page was opened",
    x: buckets.length ? edges : [],
    xScale: "log",
    xText: duration,
    xName: "Latency",
    yText: (y) => number(y),
    series: [{ name: "commits", y: buckets.map(([, n]) => n) }],
    height: 160,
  };
}

/** @param {string} name @param {string} value @param {string} [note] */
const tile = (name, value, note) => h("div.tile", h("dt", name), h("dd", h("strong", value), note ? h("small", note) : null));

/** @param {any} stats  of /v1/stats @param {any} cache  of /v1/cache/stats @param {Row} row */
function tiles(stats, cache, row) {
  const known = (x, as) => (x === null || x === undefined ? "–" : as(x));
  return [
    tile("Live", known(stats.live, short), "entities with an actor"),
    tile("Hibernated", known(row.hibernated, short), "at least, on disk only"),
    tile("Changes", known(row.changes, (x) => `${short(x)}/s`), `${short(stats.position)} ever`),
    tile("Commit p99", known(row.p99, duration), `${known(row.batch, number)} changes each`),
    tile("Memory", known(row.memory, bytes), `${bytes(stats.tail_bytes)} journal tail`),
    tile("Cache hits", cache.hits + cache.misses ? `${number(cache.hit_ratio * 100)} %` : "–", `${short(cache.entries)} results`),
  ];
}

/** @param {Message} message */
function feedRow(message) {
  const change = JSON.parse(message.data);
  const place = change.scope === "global" ? "global" : `${change.scope}s/${encodeURIComponent(change.id)}`;
  return h("li", stamp(change.at), h("a", { href: `#/${place}` }, change.id), h("span.kind", change.scope), h("span.what", eventsText(change.events)));
}

/** @param {View} view */
export function showOverview({ main, signal, linkState }) {
  const summary = h("dl.tiles", { "aria-label": "Now" });
  const warning = h("p.quiet", { hidden: true }, "Latency, memory and disk are not known here: /metrics is for admins and for the node's own machine, or on an address of its own.");
  const grid = h("div.charts");
  const feed = createFeed("Changes as they come", most_events, feedRow, (a, b) => a.id === b.id);
  append(main, [h("h1", { tabindex: "-1" }, "Overview"), summary, warning, grid, feed.element]);
  /** @type {Row[]} */
  let rows = [];
  const charts = plots.map((plot) => ({ plot, chart: createChart(specOf(plot, rows)) }));
  const none = parseMetrics("", 0);
  const histogram = createChart(histogramOf(none, none));
  for (const { element } of [...charts.map(({ chart }) => chart), histogram]) grid.append(h("div.card", element));

  /** @type {Sample | null} */
  let first = null;
  /** @type {Sample | null} */
  let before = null;
  let dirty = true;
  let sampled = -Infinity;
  async function sample() {
    if (document.hidden || (!dirty && performance.now() - sampled < quiet_ms)) return;
    dirty = false;
    sampled = performance.now();
    const at = Date.now();
    const text = warning.hidden ? await node.metrics(signal).catch((why) => ([401, 403, 404].includes(why.status) ? null : Promise.reject(why))) : null;
    const [stats, cache] = await Promise.all([node.get("/v1/stats", signal), node.get("/v1/cache/stats", signal)]);
    warning.hidden = text !== null;
    const now = parseMetrics(text ?? "", at);
    // What every reader is told, in case /metrics is not.
    for (const [name, value] of [["live_entities", stats.live], ["changes_total", stats.changes], ["commits_total", stats.commits], ["journal_tail_bytes", stats.tail_bytes], ["cache_bytes", cache.bytes], ["cache_hits_total", cache.hits], ["cache_misses_total", cache.misses]]) {
      now.values.set(`troupe_${name}`, value);
    }
    const row = rowOf(before, now);
    first ??= now;
    before = now;
    rows = [...rows.filter((one) => one.at > at - window_s * 1000), row];
    fill(summary, tiles(stats, cache, row));
    for (const { plot, chart } of charts) chart.update(specOf(plot, rows));
    if (text !== null) histogram.update(histogramOf(first, now));
  }
  (async () => {
    while (!signal.aborted) {
      await sample().catch(() => linkState(false));
      await new Promise((done) => setTimeout(done, busy_ms));
    }
  })();

  node.follow("/v1/events", {
    changes(messages) {
      dirty = true;
      feed.add(messages);
    },
    gap: () => (dirty = true),
    state: linkState,
  }, signal);
}
