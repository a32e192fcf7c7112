// Charts without a library: numbers in, one <figure> with an SVG out. Shared by the dashboard and the
// report of `troupe simulate`; looks come from chart.css. Exact values are told under the pointer, by
// the arrow keys, and as a table. Text is only ever set as text.

/**
 * One line, step, band or set of bars.
 * @typedef {object} Series
 * @property {string} name
 * @property {(number | null)[]} y  one for each x (of bars: for each pair of edges); null leaves a gap
 * @property {number} [colour]  1 to 6; its place among the series when absent
 */
/**
 * @typedef {object} Spec
 * @property {"line" | "step" | "area" | "bars"} kind  area: stacked bands; bars: a histogram
 * @property {string} title
 * @property {number[]} x  ascending; of bars the edges of the bins, one more than there are values
 * @property {Series[]} series
 * @property {"number" | "time" | "log"} [xScale]  time: milliseconds since 1970. Default: number
 * @property {"number" | "log"} [yScale]           log: values of 0 and below are gaps. Default: number
 * @property {(x: number) => string} [xText]  exact, for the pointer and the table
 * @property {(y: number) => string} [yText]  exact, with its unit
 * @property {string} [xName]  heading of the table's first column
 * @property {number} [height]  of the plot in CSS pixels; 180 when absent
 */

const namespace = "http://www.w3.org/2000/svg";
const colours = 6; // --chart-1 to --chart-6; then: from the first again
const margin = { top: 8, right: 10, bottom: 22 };

/** @param {Spec} spec @param {number} x */
function xLabel(spec, x) {
  if (spec.xText) return spec.xText(x);
  return spec.xScale === "time" ? new Date(x).toLocaleTimeString(undefined, { hour12: false }) : String(x);
}
/** @param {Spec} spec @param {number | null | undefined} y */
function yLabel(spec, y) {
  if (y === null || y === undefined || !Number.isFinite(y)) return "–";
  return spec.yText ? spec.yText(y) : y.toLocaleString();
}
/** How the x axis names position i: a moment, or the bin between two edges. @param {Spec} spec @param {number} i */
function place(spec, i) {
  return spec.kind === "bars"
    ? `${xLabel(spec, spec.x[i])} to ${xLabel(spec, spec.x[i + 1])}`
    : xLabel(spec, spec.x[i]);
}
/** @param {Spec} spec */
const count = (spec) => Math.max(0, spec.kind === "bars" ? spec.x.length - 1 : spec.x.length);

/** @param {Series} s @param {number} i */
const colourOf = (s, i) => `chart-colour-${s.colour ?? (i % colours) + 1}`;

/** @param {string} name @param {string} className @param {string} [text] */
function html(name, className, text) {
  const out = document.createElement(name);
  out.className = className;
  if (text !== undefined) out.textContent = text;
  return out;
}
/** @param {string} name @param {Record<string, string | number>} attributes @param {string} [text] */
function svg(name, attributes, text) {
  const out = document.createElementNS(namespace, name);
  for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, String(value));
  if (text !== undefined) out.textContent = text;
  return out;
}

// Where numbers stand on an axis ------------------------------------------------------------------

/** A function from numbers to pixels. @param {number} low @param {number} high @param {number} from @param {number} to @param {boolean} log */
function scale(low, high, from, to, log) {
  const of = log ? (/** @type {number} */ v) => Math.log10(Math.max(v, Number.MIN_VALUE)) : (/** @type {number} */ v) => v;
  const begin = of(low);
  const size = of(high) - begin || 1;
  return (/** @type {number} */ v) => from + ((of(v) - begin) / size) * (to - from);
}

/** 1, 2 or 5 times a power of ten, at least `least`. @param {number} least */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  for (const step of [1, 2, 5]) {
    if (step * power >= least * 0.999999) return step * power;
  }
  return 10 * power;
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const clockSteps = [1, 2, 5, 10, 15, 30].flatMap((n) => [n * second, n * minute]).concat(
  [1, 2, 3, 6, 12, 24].map((n) => n * hour),
).sort((a, b) => a - b);

/** @param {number} low @param {number} high @param {number} most */
function logTicks(low, high, most) {
  const out = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power) {
    for (const step of [1, 2, 5]) {
      const v = step * 10 ** power;
      if (v >= low * 0.999999 && v <= high * 1.000001) out.push(Number(v.toPrecision(3)));
    }
  }
  const decades = out.filter((v) => Number.isInteger(Math.log10(v)));
  const kept = out.length <= most || decades.length < 2 ? out : decades;
  const every = Math.ceil(kept.length / most);
  return kept.filter((_, i) => i % every === 0);
}

/**
 * Round numbers between low and high, about `most` of them.
 * @param {number} low @param {number} high @param {number} most @param {"number" | "time" | "log"} kind
 */
function ticks(low, high, most, kind) {
  if (!(high > low)) return [low];
  if (kind === "log") return logTicks(low, high, most);
  const least = (high - low) / most;
  const step = kind === "time" ? (clockSteps.find((s) => s >= least) ?? niceStep(least)) : niceStep(least);
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) out.push(Number((i * step).toPrecision(12)));
  return out;
}

/**
 * The ends of a y axis: 0 (or, of a logarithmic one, the decade below the least value) and a round
 * number above the largest.
 * @param {(number | null)[]} values @param {boolean} log
 * @returns {[number, number]}
 */
function topOf(values, log) {
  let least = Infinity;
  let most = 0;
  for (const v of values) {
    if (v === null || !Number.isFinite(v)) continue;
    most = Math.max(most, v);
    if (v > 0) least = Math.min(least, v);
  }
  if (log) {
    if (least === Infinity) return [1, 10];
    const low = 10 ** Math.floor(Math.log10(least));
    return [low, Math.max(low * 10, 10 ** Math.ceil(Math.log10(most * 1.000001)))];
  }
  if (most === 0) return [0, 1];
  const step = niceStep(most / 4);
  return [0, Math.ceil(most / step - 1e-9) * step];
}

/** The position nearest to a pixel, or null without any. @param {number[]} x @param {number} pixel @param {(x: number) => number} of @param {boolean} bins */
function at(x, pixel, of, bins) {
  const last = bins ? x.length - 2 : x.length - 1;
  if (last < 0) return null;
  let low = 0;
  let high = last;
  while (low < high) {
    const middle = (low + high) >> 1;
    const edge = bins ? of(x[middle + 1]) : (of(x[middle]) + of(x[middle + 1])) / 2;
    if (pixel > edge) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where a bar begins and ends that shares its bin with others. @param {number} from @param {number} to @param {number} which @param {number} of */
function bandEdges(from, to, which, of) {
  const gap = Math.min(1, (to - from) / 8);
  const width = (to - from - gap) / of;
  return [from + width * which, from + width * (which + 1)];
}

// The picture --------------------------------------------------------------------------------------

/**
 * @typedef {object} Frame
 * @property {number} width
 * @property {number} height
 * @property {number} left  where the plot begins
 * @property {(x: number) => number} x
 * @property {(y: number) => number} y
 * @property {number} base  y of the axis
 */

/** @param {Spec} spec @param {number} width @returns {Frame & { rows: number[]; columns: number[] }} */
function frameOf(spec, width) {
  const height = spec.height ?? 180;
  const log = spec.yScale === "log";
  const [low, high] = topOf(spec.kind === "area" ? stackedTops(spec) : spec.series.flatMap((s) => s.y), log);
  const rows = ticks(low, high, Math.max(2, Math.floor(height / 45)), log ? "log" : "number");
  const longest = Math.max(...rows.map((r) => yLabel(spec, r).length), 3);
  const left = Math.min(96, 10 + longest * 6.4);
  const first = spec.x[0] ?? 0;
  const last = spec.x[spec.x.length - 1] ?? 1;
  const kind = spec.xScale ?? "number";
  const columns = ticks(first, last, Math.max(2, Math.floor((width - left) / 90)), kind);
  const base = height - margin.bottom;
  return {
    width,
    height,
    left,
    base,
    rows,
    columns,
    x: scale(first, last, left, width - margin.right, kind === "log"),
    y: scale(low, high, base, margin.top, log),
  };
}

/** Sums up to and including each series. @param {Spec} spec */
function stacked(spec) {
  const below = new Array(count(spec)).fill(0);
  return spec.series.map((s) => s.y.map((y, i) => (below[i] += y ?? 0)));
}
/** @param {Spec} spec */
const stackedTops = (spec) => stacked(spec).at(-1) ?? [];

/** @param {(number | null)[]} y @param {Frame} f @param {Spec} spec */
function linePath(y, f, spec) {
  let out = "";
  let pen = false;
  for (let i = 0; i < y.length; ++i) {
    const value = y[i];
    if (value === null || !Number.isFinite(value) || (spec.yScale === "log" && value <= 0)) {
      pen = false;
      continue;
    }
    const x = f.x(spec.x[i]).toFixed(1);
    const to = f.y(value).toFixed(1);
    out += !pen ? `M${x} ${to}` : spec.kind === "step" ? `H${x}V${to}` : `L${x} ${to}`;
    pen = true;
  }
  return out;
}
/** @param {number[]} top @param {number[] | undefined} bottom @param {Frame} f @param {Spec} spec */
function bandPath(top, bottom, f, spec) {
  if (top.length === 0) return "";
  const along = top.map((y, i) => `${f.x(spec.x[i]).toFixed(1)} ${f.y(y).toFixed(1)}`);
  const back = top.map((_, i) => `${f.x(spec.x[i]).toFixed(1)} ${f.y(bottom ? bottom[i] : 0).toFixed(1)}`);
  return `M${along.join("L")}L${back.reverse().join("L")}Z`;
}
/** Bars of several series stand side by side in their bin. @param {Spec} spec @param {Frame} f */
function barPaths(spec, f) {
  return spec.series.map((s, which) => {
    let out = "";
    s.y.forEach((y, i) => {
      if (y === null || y <= 0) return;
      const [from, to] = bandEdges(f.x(spec.x[i]), f.x(spec.x[i + 1]), which, spec.series.length);
      out += `M${from.toFixed(1)} ${f.base}V${f.y(y).toFixed(1)}H${to.toFixed(1)}V${f.base}Z`;
    });
    return out;
  });
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
  const bars = spec.kind === "bars" ? barPaths(spec, f) : [];
  spec.series.forEach((s, i) => {
    const colour = colourOf(s, i);
    if (spec.kind === "area") {
      parts.push(svg("path", { class: `chart-band ${colour}`, d: bandPath(tops[i], tops[i - 1], f, spec) }));
    } else if (spec.kind === "bars") {
      parts.push(svg("path", { class: `chart-bar ${colour}`, d: bars[i] }));
    } else {
      parts.push(svg("path", { class: `chart-line ${colour}`, d: linePath(s.y, f, spec) }));
    }
  });
  return { parts, frame: f };
}

/** All values as a table. @param {Spec} spec */
function tableOf(spec) {
  const table = html("table", "chart-values");
  table.append(html("caption", "chart-hidden", spec.title));
  const head = html("tr", "");
  for (const name of [spec.xName ?? (spec.xScale === "time" ? "Time" : "x"), ...spec.series.map((s) => s.name)]) {
    const cell = html("th", "", name);
    cell.setAttribute("scope", "col");
    head.append(cell);
  }
  const top = html("thead", "");
  top.append(head);
  const body = html("tbody", "");
  for (let i = 0; i < count(spec); ++i) {
    const row = html("tr", "");
    const cell = html("th", "", place(spec, i));
    cell.setAttribute("scope", "row");
    row.append(cell, ...spec.series.map((s) => html("td", "", yLabel(spec, s.y[i]))));
    body.append(row);
  }
  table.append(top, body);
  return table;
}

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

  const element = html("figure", "chart");
  const head = html("figcaption", "chart-head");
  const title = html("span", "chart-title");
  const toggle = html("button", "chart-toggle");
  toggle.setAttribute("type", "button");
  const legend = html("ul", "chart-legend");
  const plot = html("div", "chart-plot");
  plot.tabIndex = 0;
  plot.setAttribute("role", "slider");
  const picture = svg("svg", { class: "chart-svg", "aria-hidden": "true" });
  const mark = svg("line", { class: "chart-mark" });
  const tip = html("div", "chart-tip");
  tip.hidden = true;
  const values = html("div", "chart-scroll");
  values.tabIndex = 0;
  values.setAttribute("role", "region");
  values.hidden = true;
  head.append(title, toggle);
  plot.append(picture, tip);
  element.append(head, legend, plot, values);

  function showLegend() {
    const i = cursor ?? count(spec) - 1;
    const entries = spec.series.map((s, which) => {
      const entry = html("li", "");
      const value = spec.kind === "bars" && cursor === null ? "" : yLabel(spec, s.y[i]);
      entry.append(html("span", `chart-swatch ${colourOf(s, which)}`));
      entry.append(html("span", "chart-name", s.name), html("strong", "chart-value", value));
      return entry;
    });
    legend.replaceChildren(...entries);
    plot.setAttribute("aria-valuemin", "0");
    plot.setAttribute("aria-valuemax", String(Math.max(0, count(spec) - 1)));
    plot.setAttribute("aria-valuenow", String(Math.max(0, i)));
    const told = spec.series.map((s) => `${s.name} ${yLabel(spec, s.y[i])}`).join(", ");
    plot.setAttribute("aria-valuetext", count(spec) === 0 ? "no values yet" : `${place(spec, i)}: ${told}`);
  }

  function showCursor() {
    tip.hidden = cursor === null;
    mark.setAttribute("visibility", cursor === null ? "hidden" : "visible");
    if (cursor !== null) {
      const middle = spec.kind === "bars" ? (frame.x(spec.x[cursor]) + frame.x(spec.x[cursor + 1])) / 2 : frame.x(spec.x[cursor]);
      for (const [key, value] of Object.entries({ x1: middle, x2: middle, y1: margin.top, y2: frame.base })) {
        mark.setAttribute(key, String(value));
      }
      tip.replaceChildren(html("div", "chart-tip-place", place(spec, cursor)));
      spec.series.forEach((s, which) => {
        const row = html("div", "chart-tip-row");
        row.append(html("span", `chart-swatch ${colourOf(s, which)}`));
        row.append(html("span", "chart-name", s.name), html("strong", "chart-value", yLabel(spec, s.y[/** @type {number} */ (cursor)])));
        tip.append(row);
      });
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
    picture.setAttribute("width", String(width));
    picture.setAttribute("height", String(frame.height));
    picture.replaceChildren(...drawn.parts, mark);
    if (count(spec) === 0) {
      picture.append(svg("text", { class: "chart-tick", x: width / 2, y: frame.height / 2, "text-anchor": "middle" }, "No values yet"));
    }
    if (!values.hidden) values.replaceChildren(tableOf(spec));
    toggle.textContent = values.hidden ? "Table" : "Chart";
    toggle.setAttribute("aria-label", `${spec.title}: show as ${values.hidden ? "table" : "chart"}`);
    showCursor();
  }

  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    cursor = at(spec.x, event.clientX - box.left, frame.x, spec.kind === "bars");
    showCursor();
  });
  const leave = () => {
    cursor = null;
    showCursor();
  };
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("blur", leave);
  plot.addEventListener("keydown", (event) => {
    const last = count(spec) - 1;
    const here = cursor ?? last;
    /** @type {Record<string, number | null>} */
    const moves = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1, Home: 0, End: last, Escape: null };
    if (!(event.key in moves) || last < 0) return;
    event.preventDefault();
    const to = moves[event.key];
    cursor = to === null ? null : Math.min(last, Math.max(0, to));
    showCursor();
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
