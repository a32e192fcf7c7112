// The report of `troupe simulate`: one run in detail, or several side by side. The data are JSON in the page,
// as `--json` writes them (docs/simulation-result.schema.json). Text is only ever set as text.
import { createChart } from "../../dashboard/chart.js";

const runs = JSON.parse(document.getElementById("runs").textContent);
const several = runs.length > 1;

// Numbers as text ---------------------------------------------------------------------------------

const digits = (x, most) => x.toLocaleString("en", { maximumFractionDigits: most });
function duration(us) {
  if (us === null || us === undefined) return "–";
  if (us < 1e3) return `${digits(us, us < 10 ? 1 : 0)} µs`;
  if (us < 1e6) return `${digits(us / 1e3, us < 1e5 ? 2 : 0)} ms`;
  return `${digits(us / 1e6, 2)} s`;
}
const rate = (x) => `${digits(x, x < 10 ? 1 : 0)}/s`;
const seconds = (x) => `${digits(x, x < 10 ? 1 : 0)} s`;
function bytes(x) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  for (; x >= 1000 && at + 1 < units.length; ++at) x /= 1000;
  return `${digits(x, x < 10 ? 2 : x < 100 ? 1 : 0)} ${units[at]}`;
}
const whole = (x) => digits(x, 0);

function element(name, text, className) {
  const out = document.createElement(name);
  if (text !== undefined) out.textContent = text;
  if (className) out.className = className;
  return out;
}

/** What tells runs apart in legends: their target, and the profile where that differs. */
function nameOf(run) {
  const target = run.target.target
    .replace(/^troupe, embedded.*/, "Troupe, embedded")
    .replace(/^troupe serve over HTTP.*/, "Troupe over HTTP")
    .replace(/ on a Unix socket$|, (in this|a gen_server).*/, "");
  const same = runs.every((other) => other.profile === run.profile);
  const label = same ? target : `${run.profile}, ${target}`;
  const twins = runs.filter((other) => other.target.target === run.target.target && other.profile === run.profile);
  return twins.length > 1 ? `${label} #${twins.indexOf(run) + 1}` : label;
}

// Figures -----------------------------------------------------------------------------------------

function cell(text, className) {
  return { text, className };
}
function lastOf(run, key) {
  const all = (run.load?.samples ?? []).map((s) => s[key]).filter((x) => x !== null);
  return all.length ? all[all.length - 1] : null;
}
function mostOf(run, key) {
  const all = (run.load?.samples ?? []).map((s) => s[key]).filter((x) => x !== null);
  return all.length ? Math.max(...all) : null;
}
const or = (x, show) => (x === null || x === undefined ? "–" : show(x));

function figureRows() {
  const of = (what) => runs.map((run) => cell(what(run)));
  const rows = [
    ["profile", of((r) => r.profile)],
    ["durability", of((r) => r.target.durability ?? "–")],
    ["sessions before", of((r) => whole(r.sessions))],
    ["rate", of((r) => or(r.load?.per_s, rate))],
    ["latency p50", of((r) => or(r.load?.latency_us.p50, duration))],
    ["latency p90", of((r) => or(r.load?.latency_us.p90, duration))],
    ["latency p99", of((r) => or(r.load?.latency_us.p99, duration))],
    ["latency p99.9", of((r) => or(r.load?.latency_us.p999, duration))],
    ["latency max", of((r) => or(r.load?.latency_us.max, duration))],
    ["p99 from sending", of((r) => or(r.load?.service_us.p99, duration))],
    ["answered", of((r) => or(r.load?.answered, whole))],
    ["failed", runs.map((r) => cell(or(r.load?.failed, whole), r.load?.failed ? "bad" : ""))],
    ["cache hits", of((r) => (r.load?.cache_lookups ? `${digits((100 * r.load.cache_hits) / r.load.cache_lookups, 1)} %` : "–"))],
    ["memory at most", of((r) => or(mostOf(r, "memory_bytes"), bytes))],
    ["store at the end", of((r) => or(lastOf(r, "store_bytes"), bytes))],
    ["faults", of((r) => (r.faults.length ? whole(r.faults.length) : "–"))],
    ["knee", of((r) => (r.knee?.best ? `${rate(r.knee.best.answered_per_s)} at p99 ${duration(r.knee.best.p99_us)}` : "–"))],
    ["checked", of((r) => (r.check ? `${whole(r.check.subjects)} subjects, ${whole(r.check.items)} items` : "–"))],
    ["violations", runs.map((r) => (r.check ? cell(whole(r.check.violations), r.check.violations ? "bad" : "good") : cell("–")))],
  ];
  return rows.filter(([, cells]) => cells.some((c) => c.text !== "–"));
}

function tiles() {
  const out = element("dl", undefined, "tiles");
  for (const [name, [only]] of figureRows()) {
    const tile = element("div");
    tile.append(element("dt", name), element("dd", only.text, only.className));
    out.append(tile);
  }
  return out;
}

function showFigures() {
  if (!several) {
    document.getElementById("figures").append(tiles());
    return;
  }
  const table = element("table", undefined, "figures");
  const head = element("tr");
  head.append(element("th", ""), ...runs.map((run) => element("th", nameOf(run))));
  table.append(element("thead"));
  table.tHead.append(head);
  const body = element("tbody");
  for (const [name, cells] of figureRows()) {
    const row = element("tr");
    const title = element("th", name);
    title.scope = "row";
    row.append(title, ...cells.map((c) => element("td", c.text, c.className)));
    body.append(row);
  }
  table.append(body);
  document.getElementById("figures").append(table);
}

// Plots -------------------------------------------------------------------------------------------

function plot(spec) {
  const known = spec.series.filter((s) => s.y.some((y) => y !== null && y !== undefined && Number.isFinite(y)));
  if (known.length === 0 || spec.x.length < 2) return;
  const box = element("div");
  box.append(createChart({ ...spec, series: known }).element);
  document.getElementById("plots").append(box);
}

/** When values stand: at the samples of one run, or at equal steps through the longest of several; at most 600. */
function moments() {
  const all = runs.map((run) => (run.load?.samples ?? []).map((s) => s.at_s)).filter((x) => x.length > 0);
  if (all.length === 0) return [];
  if (!several && all[0].length <= 600) return all[0];
  const end = Math.max(...all.map((x) => x.at(-1)));
  const step = Math.max(end / 600, ...all.map((x) => x.at(-1) / x.length));
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, i) => i * step);
}

/** A run's values at these moments: `of` all samples that ended since the one before, or the one that covers it. */
function along(run, x, value, of) {
  const samples = run.load?.samples ?? [];
  let at = 0;
  return x.map((moment, i) => {
    const from = at;
    while (at < samples.length && samples[at].at_s <= moment) ++at;
    const step = i > 0 ? moment - x[i - 1] : 0;
    const here = at > from ? samples.slice(from, at) : at < samples.length ? [samples[at]] : samples.slice(-1).filter((s) => s.at_s > moment - step);
    const known = here.map(value).filter((y) => y !== null && y !== undefined);
    return known.length ? of(known) : null;
  });
}
const highest = (all) => Math.max(...all);
const mean = (all) => all.reduce((a, b) => a + b, 0) / all.length;

/** Of several runs, each has its colour in every chart. */
const colourOf = (run) => (several ? (runs.indexOf(run) % 6) + 1 : undefined);

/** `parts` that are `alone` are left out where several runs stand side by side. */
function overTime(title, parts, options) {
  const x = moments();
  const series = runs.flatMap((run) =>
    parts
      .filter((part) => !several || !part.alone)
      .map((part) => ({ name: several ? nameOf(run) : part.name, colour: colourOf(run), y: along(run, x, part.value, options.log ? highest : mean) })),
  );
  plot({ kind: options.kind && !several ? options.kind : "line", title, x, series, xText: seconds, xName: "time", yScale: options.log ? "log" : "number", yText: options.text });
}

/** Ten bins in each tenfold of time. */
function bins() {
  const used = runs.flatMap((run) => (run.load?.histogram ?? []).map((b) => b.up_to_us));
  if (used.length === 0) return [];
  const low = Math.floor(Math.log10(Math.max(0.1, Math.min(...used))) * 10);
  const high = Math.ceil(Math.log10(Math.max(...used)) * 10);
  return Array.from({ length: high - low + 2 }, (_, i) => 10 ** ((low + i - 0.5) / 10));
}

function latencyHistogram() {
  const edges = bins();
  if (edges.length < 3) return;
  const shares = (run) => {
    const counts = new Array(edges.length - 1).fill(0);
    let total = 0;
    for (const b of run.load?.histogram ?? []) {
      const found = edges.findIndex((edge) => b.up_to_us < edge);
      const at = found === -1 ? counts.length : found;
      counts[Math.min(counts.length - 1, Math.max(0, at - 1))] += b.count;
      total += b.count;
    }
    return counts.map((n) => (total ? (100 * n) / total : 0));
  };
  const middle = edges.slice(1).map((edge, i) => Math.sqrt(edge * edges[i]));
  plot({
    kind: several ? "line" : "bars",
    title: several ? "Latencies: share of all, by length" : "Latencies",
    x: several ? middle : edges,
    series: runs.map((run) => ({ name: several ? nameOf(run) : "share of all", colour: colourOf(run), y: shares(run) })),
    xScale: "log",
    xText: duration,
    xName: "latency",
    yText: (y) => `${digits(y, y < 1 ? 3 : 1)} %`,
  });
}

function knees() {
  for (const run of runs) {
    const steps = [...(run.knee?.steps ?? [])].sort((a, b) => a.due_per_s - b.due_per_s);
    const x = steps.map((s, i) => s.due_per_s + i * 1e-6);
    plot({
      kind: "line",
      title: `99th percentile by rate${several ? `: ${nameOf(run)}` : ""}`,
      x,
      series: [
        { name: "p99", y: steps.map((s) => s.p99_us) },
        { name: "limit", y: steps.map(() => run.knee.p99_limit_us) },
      ],
      xScale: "log",
      yScale: "log",
      xText: rate,
      xName: "rate",
      yText: duration,
    });
  }
}

function showPlots() {
  overTime(several ? "99th percentile over time" : "Latency over time", [
    { name: "p50", value: (s) => s.p50_us, alone: true },
    { name: "p99", value: (s) => s.p99_us },
    { name: "longest", value: (s) => s.max_us, alone: true },
  ], { log: true, text: duration });
  latencyHistogram();
  overTime("Rate", [
    { name: "answered", value: (s) => s.per_s },
    { name: "failed", value: (s) => s.failed_per_s, alone: true },
  ], { text: rate });
  overTime(several ? "Memory" : "Memory and store", [
    { name: "memory", value: (s) => s.memory_bytes },
    { name: "store", value: (s) => s.store_bytes, alone: true },
  ], { text: bytes });
  if (several) overTime("Store on disk", [{ name: "store", value: (s) => s.store_bytes }], { text: bytes });
  overTime(several ? "Live entities" : "Entities, live and hibernated", [
    { name: "live", value: (s) => s.live },
    { name: "hibernated", value: (s) => s.hibernated, alone: true },
  ], { kind: "area", text: whole });
  overTime("Changes in a commit", [{ name: "changes", value: (s) => s.changes_in_commit }], { text: (y) => digits(y, 1) });
  overTime(several ? "Due and not sent" : "Waiting", [
    { name: "on their way", value: (s) => s.on_the_way, alone: true },
    { name: "due and not sent", value: (s) => s.late },
  ], { text: whole });
  knees();
}

// Details -----------------------------------------------------------------------------------------

function list(title, texts) {
  if (texts.length === 0) return [];
  const out = element("ul", undefined, "notes");
  out.append(...texts.map((text) => element("li", text)));
  return [element("h2", title), out];
}

function actions(run) {
  const table = element("table", undefined, "figures");
  const head = element("tr");
  for (const text of ["action", "count", "p50", "p90", "p99", "p99.9", "max"]) head.append(element("th", text));
  const body = element("tbody");
  for (const one of run.load?.actions ?? []) {
    const l = one.latency_us;
    const row = element("tr");
    const texts = [whole(l.count), ...[l.p50, l.p90, l.p99, l.p999, l.max].map(duration)];
    row.append(element("th", one.action.replaceAll("_", " ")), ...texts.map((text) => element("td", text)));
    body.append(row);
  }
  const top = element("thead");
  top.append(head);
  table.append(top, body);
  return table;
}

function showDetails() {
  const to = document.getElementById("details");
  for (const run of runs) {
    const box = element("details");
    box.open = !several;
    box.append(element("summary", several ? nameOf(run) : "Details"));
    if (run.load) {
      const scroll = element("div", undefined, "scroll");
      scroll.append(actions(run));
      box.append(element("h2", "By action"), scroll);
    }
    box.append(
      ...list("Broken promises", run.check?.first ?? []),
      ...list("Faults", run.faults.map((f) => `${seconds(f.at_s)}: ${f.kind}, ${f.note}`)),
      ...list("Failures", run.load?.errors ?? []),
      ...list("Target", Object.entries(run.target).map(([key, text]) => `${key}: ${text}`)),
      ...list("Machine", Object.entries(run.machine).map(([key, text]) => `${key}: ${text}`)),
      element("h2", `Workload, seed ${run.seed}, speed ${run.speed}`),
      element("pre", run.workload),
    );
    to.append(box);
  }
}

function setUpTheme() {
  const button = document.getElementById("theme");
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const show = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    show();
  });
  show();
}

document.getElementById("summary").textContent = several
  ? `${runs.length} runs side by side`
  : `${runs[0].profile}: ${runs[0].about}; ${runs[0].target.target}`;
setUpTheme();
showFigures();
showPlots();
showDetails();
