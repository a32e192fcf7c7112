// Numbers in, a <figure> with an SVG out; looks come from chart.css. Exact values are told under the pointer, by the
// arrow keys, and as a table. A module of its own, also used by reports; text is only ever set as text.

/**
 * One line, step, band or set of bars.
 * @typedef {object} Series
 * @property {string} name
 * @property {(number | null)[]} y  one for each x, of bars for each bin; null leaves a gap
 * @property {number} [colour]  1 to 6; its place among the series when absent
 */
/**
 * @typedef {object} Spec
 * @property {"line" | "step" | "area" | "bars"} kind  area: stacked bands; bars: a histogram
 * @property {string} title
 * @property {number[]} x  ascending; of bars the edges of the bins, one more than there are values
 * @property {Series[]} series
 * @property {"number" | "time" | "log"} [xScale]  time: milliseconds since 1970. Default: number
 * @property {"number" | "log" | "bytes"} [yScale]  log: values of 0 and below are gaps; bytes: steps of powers of two
 * @property {(x: number) => string} [xText]  exact, for the pointer and the table
 * @property {(y: number) => string} [yText]  exact, with its unit
 * @property {string} [xName]  heading of the table's first column
 * @property {number} [height]  of the plot in CSS pixels; 180 when absent
 */

const colours = 6; // --chart-1 to --chart-6; then: from the first again
const margin = { top: 8, right: 10, bottom: 22 };

/** @param {Spec} spec @param {number} x */
function xLabel(spec, x) {
  if (spec.xText) return spec.xText(x);
  return spec.xScale === "time" ? new Date(x).toLocaleTimeString(undefined, { hourCycle: "h23" }) : String(x);
}
/** @param {Spec} spec @param {number | null | undefined} y */
function yLabel(spec, y) {
  if (y === null || y === undefined || !Number.isFinite(y)) return "–";
  return spec.yText ? spec.yText(y) : y.toLocaleString();
}
/** A moment, or the bin between two edges. @param {Spec} spec @param {number} i */
const place = (spec, i) => xLabel(spec, spec.x[i]) + (spec.kind === "bars" ? ` to ${xLabel(spec, spec.x[i + 1])}` : "");
/** @param {Spec} spec */
const count = (spec) => Math.max(0, spec.kind === "bars" ? spec.x.length - 1 : spec.x.length);

/** @param {Series} s @param {number} i */
const colourOf = (s, i) => `chart-colour-${s.colour ?? (i % colours) + 1}`;

/** @template {Element} T @param {T} out @param {Record<string, string | number | boolean>} attributes @param {(Node | string)[]} children */
function made(out, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== false) out.setAttribute(name, value === true ? "" : String(value));
  out.append(...children);
  return out;
}
/** @param {string} name @param {Record<string, string | number | boolean>} attributes @param {...(Node | string)} children */
const html = (name, attributes, ...children) => made(document.createElement(name), attributes, children);
/** @param {string} name @param {Record<string, string | number>} attributes @param {...(Node | string)} children */
export const svg = (name, attributes, ...children) => made(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

// Where numbers stand on an axis ------------------------------------------------------------------

/** A function from numbers to pixels. @returns {(v: number) => number} */
function scale(low, high, from, to, log) {
  const of = log ? (v) => Math.log10(Math.max(v, Number.MIN_VALUE)) : (v) => v;
  const size = of(high) - of(low) || 1;
  return (v) => from + ((of(v) - of(low)) / size) * (to - from);
}

/** 1, 2 or 5 times a power of ten (or a power of two), at least `least`. @param {number} least @param {boolean} [binary] */
function niceStep(least, binary) {
  if (binary) return 2 ** Math.ceil(Math.log2(least));
  const power = 10 ** Math.floor(Math.log10(least));
  for (const step of [1, 2, 5]) {
    if (step * power >= least * 0.999999) return step * power;
  }
  return 10 * power;
}

const clockSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Powers of ten, or 1, 2 and 5 times one where they are few. @param {number} low @param {number} high @param {number} most */
function logTicks(low, high, most) {
  const of = (steps) => {
    const out = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); ++power) out.push(...steps.map((step) => Number(`${step}e${power}`)));
    return out.filter((v) => v >= low && v <= high * 1.000001);
  };
  const decades = of([1]);
  const kept = decades.length < 3 ? of([1, 2, 5]) : decades;
  return kept.filter((_, i) => i % Math.ceil(kept.length / most) === 0);
}

/**
 * Round numbers between low and high, about `most` of them.
 * @param {number} low @param {number} high @param {number} most @param {"number" | "time" | "log" | "bytes"} kind
 */
function ticks(low, high, most, kind) {
  if (!(high > low)) return [low];
  if (kind === "log") return low <= 0 ? [high] : logTicks(low, high, most);
  const least = (high - low) / most;
  const clock = kind === "time" ? clockSteps.find((s) => s * 1000 >= least) : undefined;
  const step = clock ? clock * 1000 : niceStep(least, kind === "bytes");
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) out.push(Number((i * step).toPrecision(12)));
  return out;
}

/**
 * The ends of a y axis: 0 (or the decade below the least value) and a round number above the most.
 * @param {(number | null)[]} values @param {Spec["yScale"]} kind @returns {[number, number]}
 */
function topOf(values, kind) {
  const known = values.map((v) => v ?? 0).filter((v) => v > 0 && v < Infinity);
  const most = known.reduce((a, b) => Math.max(a, b), 0);
  if (kind === "log") {
    if (most === 0) return [1, 10];
    const low = 10 ** Math.floor(Math.log10(known.reduce((a, b) => Math.min(a, b))));
    return [low, Math.max(low * 10, 10 ** Math.ceil(Math.log10(most)))];
  }
  if (most === 0) return [0, 1];
  const step = niceStep(most / 4, kind === "bytes");
  return [0, Math.ceil(most / step - 1e-9) * step];
}

/** The position nearest to a pixel, or null without any. @param {Spec} spec @param {number} pixel @param {(x: number) => number} of */
function at({ x, kind }, pixel, of) {
  const ends = kind === "bars" ? x.slice(1).map(of) : x.map((v, i) => (of(v) + of(x[i + 1] ?? Infinity)) / 2);
  const found = ends.findIndex((end) => pixel <= end);
  return ends.length === 0 ? null : found < 0 ? ends.length - 1 : found;
}

// The picture --------------------------------------------------------------------------------------

/**
 * Where things stand, in pixels.
 * @typedef {{ width: number; height: number; left: number; base: number; rows: number[]; columns: number[]; x: (x: number) => number; y: (y: number) => number }} Frame
 */

/** @param {Spec} spec @param {number} width @returns {Frame} */
function frameOf(spec, width) {
  const { height = 180, xScale = "number", yScale = "number" } = spec;
  const [low, high] = topOf(spec.kind === "area" ? (stacked(spec).at(-1) ?? []) : spec.series.flatMap((s) => s.y), yScale);
  const rows = ticks(low, high, Math.max(2, Math.round(height / 45)), yScale);
  const left = Math.min(96, 10 + 6.4 * Math.max(3, ...rows.map((r) => yLabel(spec, r).length)));
  const [first = 0, last = 1] = [spec.x[0], spec.x.at(-1)];
  const columns = count(spec) === 0 ? [] : ticks(first, last, Math.max(2, Math.floor((width - left) / 90)), xScale);
  const base = height - margin.bottom;
  const x = scale(first, last, left, width - margin.right, xScale === "log");
  return { width, height, left, base, rows, columns, x, y: scale(low, high, base, margin.top, yScale === "log") };
}

/** Sums up to and including each series. @param {Spec} spec */
function stacked(spec) {
  const below = new Array(count(spec)).fill(0);
  return spec.series.map((s) => s.y.map((y, i) => (below[i] += y ?? 0)));
}

/** The path of one series. @param {Spec} spec @param {Frame} f @param {number} which @param {number[][]} tops  of bands */
function pathOf(spec, f, which, tops) {
  const { kind, x, series } = spec;
  const px = (i) => f.x(x[i]).toFixed(1);
  const py = (y) => f.y(y).toFixed(1);
  if (kind === "area") {
    const along = tops[which].map((y, i) => `${px(i)} ${py(y)}`);
    const back = tops[which].map((_, i) => `${px(i)} ${py(tops[which - 1]?.[i] ?? 0)}`).reverse();
    return along.length ? `M${along.join("L")}L${back.join("L")}Z` : "";
  }
  let out = "";
  let pen = false; // of a line, whether it goes on
  series[which].y.forEach((y, i) => {
    const known = y !== null && Number.isFinite(y) && (y > 0 || (kind !== "bars" && spec.yScale !== "log"));
    if (known && kind === "bars") {
      // Bars of several series stand side by side in their bin.
      const [from, to] = [f.x(x[i]), f.x(x[i + 1]) - 1];
      const wide = (to - from) / series.length;
      out += `M${(from + wide * which).toFixed(1)} ${f.base}V${py(y)}h${wide.toFixed(1)}V${f.base}Z`;
    } else if (known) {
      out += !pen ? `M${px(i)} ${py(y)}` : kind === "step" ? `H${px(i)}V${py(y)}` : `L${px(i)} ${py(y)}`;
    }
    pen = known;
  });
  return out;
}

/** The picture of a spec, as children of an <svg>. @param {Spec} spec @param {number} width */
function draw(spec, width) {
  const f = frameOf(spec, width);
  const parts = [];
  for (const row of f.rows) {
    const y = f.y(row);
    parts.push(svg("line", { class: "chart-grid", x1: f.left, x2: width - margin.right, y1: y, y2: y }));
    parts.push(svg("text", { class: "chart-tick", x: f.left - 6, y: y + 4, "text-anchor": "end" }, yLabel(spec, row)));
  }
  let written = -Infinity; // where the last label ends
  for (const column of f.columns) {
    const x = f.x(column);
    const half = xLabel(spec, column).length * 3.2;
    const anchor = x + half > width ? "end" : x - half < f.left ? "start" : "middle";
    const begin = anchor === "end" ? x - 2 * half : anchor === "start" ? x : x - half;
    if (begin < written + 8) continue;
    written = begin + 2 * half;
    parts.push(svg("text", { class: "chart-tick", x, y: f.height - 5, "text-anchor": anchor }, xLabel(spec, column)));
  }
  const tops = spec.kind === "area" ? stacked(spec) : [];
  const looks = { area: "band", bars: "bar", line: "line", step: "line" }[spec.kind];
  spec.series.forEach((s, i) => parts.push(svg("path", { class: `chart-${looks} ${colourOf(s, i)}`, d: pathOf(spec, f, i, tops) })));
  return { parts, frame: f };
}

/** All values as a table. @param {Spec} spec */
function tableOf(spec) {
  const names = [spec.xName ?? (spec.xScale === "time" ? "Time" : "x"), ...spec.series.map((s) => s.name)];
  const rows = Array.from({ length: count(spec) }, (_, i) =>
    html("tr", {}, html("th", { scope: "row" }, place(spec, i)), ...spec.series.map((s) => html("td", {}, yLabel(spec, s.y[i])))));
  return html("table", { class: "chart-values" },
    html("caption", { class: "chart-hidden" }, spec.title),
    html("thead", {}, html("tr", {}, ...names.map((name) => html("th", { scope: "col" }, name)))),
    html("tbody", {}, ...rows));
}

/** The colour, name and value of a series. @param {string} tag @param {string} className @param {Spec} spec @param {number} which @param {string} value */
const entryOf = (tag, className, spec, which, value) =>
  html(tag, { class: className }, html("span", { class: `chart-swatch ${colourOf(spec.series[which], which)}` }), html("span", { class: "chart-name" }, spec.series[which].name), html("strong", { class: "chart-value" }, value));

/**
 * A chart that can be given other numbers. It takes the width of where it stands.
 * @param {Spec} first
 * @returns {{ element: HTMLElement, update: (spec: Spec) => void }}
 */
export function createChart(first) {
  let spec = first;
  let width = 480;
  /** @type {number | null} position that is pointed at */
  let cursor = null;
  /** @type {Frame} */
  let frame;

  const title = html("span", { class: "chart-title" });
  const toggle = html("button", { class: "chart-toggle", type: "button" });
  const legend = html("ul", { class: "chart-legend" });
  const mark = svg("line", { class: "chart-mark" });
  const picture = svg("svg", { class: "chart-svg", "aria-hidden": "true" });
  const tip = html("div", { class: "chart-tip", hidden: true });
  const plot = html("div", { class: "chart-plot", tabindex: 0, role: "slider" }, picture, tip);
  const values = html("div", { class: "chart-scroll", tabindex: 0, role: "region", hidden: true });
  const element = html("figure", { class: "chart" }, html("figcaption", { class: "chart-head" }, title, toggle), legend, plot, values);

  function showLegend() {
    const last = count(spec) - 1;
    const i = cursor ?? last;
    legend.replaceChildren(...spec.series.map((s, which) => entryOf("li", "", spec, which, spec.kind === "bars" && cursor === null ? "" : yLabel(spec, s.y[i]))));
    const told = spec.series.map((s) => `${s.name} ${yLabel(spec, s.y[i])}`).join(", ");
    made(plot, { "aria-valuemin": 0, "aria-valuemax": Math.max(0, last), "aria-valuenow": Math.max(0, i), "aria-valuetext": last < 0 ? "no values yet" : `${place(spec, i)}: ${told}` }, []);
  }

  function showCursor() {
    tip.hidden = cursor === null;
    mark.setAttribute("visibility", cursor === null ? "hidden" : "visible");
    if (cursor !== null) {
      const here = cursor;
      const x = frame.x(spec.x[here]);
      const middle = spec.kind === "bars" ? (x + frame.x(spec.x[here + 1])) / 2 : x;
      made(mark, { x1: middle, x2: middle, y1: margin.top, y2: frame.base }, []);
      tip.replaceChildren(html("div", { class: "chart-tip-place" }, place(spec, here)), ...spec.series.map((s, which) => entryOf("div", "chart-tip-row", spec, which, yLabel(spec, s.y[here]))));
      const right = middle > width / 2;
      tip.style.left = right ? "" : `${middle + 10}px`;
      tip.style.right = right ? `${width - middle + 10}px` : "";
    }
    showLegend();
  }

  function render() {
    const drawn = draw(spec, width);
    frame = drawn.frame;
    if (cursor !== null && cursor >= count(spec)) cursor = null;
    title.textContent = spec.title;
    plot.setAttribute("aria-label", spec.title);
    values.setAttribute("aria-label", `${spec.title}: table`);
    made(picture, { width, height: frame.height }, []).replaceChildren(...drawn.parts, mark);
    if (count(spec) === 0) picture.append(svg("text", { class: "chart-tick", x: width / 2, y: frame.height / 2, "text-anchor": "middle" }, "No values yet"));
    if (!values.hidden) values.replaceChildren(tableOf(spec));
    toggle.textContent = values.hidden ? "Table" : "Chart";
    toggle.setAttribute("aria-label", `${spec.title}: show as ${values.hidden ? "table" : "chart"}`);
    showCursor();
  }

  const point = (to) => {
    cursor = to;
    showCursor();
  };
  plot.addEventListener("pointermove", (event) => point(at(spec, event.clientX - plot.getBoundingClientRect().left, frame.x)));
  plot.addEventListener("pointerleave", () => point(null));
  plot.addEventListener("blur", () => point(null));
  plot.addEventListener("keydown", (event) => {
    const last = count(spec) - 1;
    const here = cursor ?? last;
    /** @type {Record<string, number | null>} */
    const moves = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1, Home: 0, End: last, Escape: null };
    if (!(event.key in moves) || last < 0) return;
    event.preventDefault();
    const to = moves[event.key];
    point(to === null ? null : Math.min(last, Math.max(0, to)));
  });
  toggle.addEventListener("click", () => {
    values.hidden = !values.hidden;
    plot.hidden = !values.hidden;
    render();
  });
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width || now < 1) return;
    width = now;
    render();
  }).observe(plot);
  render();
  return {
    element,
    update(next) {
      spec = next;
      render();
    },
  };
}
