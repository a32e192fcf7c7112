// A workflow's graph: nodes in layers, each behind what it waits for; status as colour, mark and word.

import { svg } from "./chart.js";
import { card, excuse, facts, fill, h, scrolling, table } from "./dom.js";
import { plural } from "./format.js";
import { brief, valueView } from "./value.js";

/** @import { Part } from "./entity.js" */

/** @typedef {{ id: string; after: string[]; status: string; attempts: number; result: unknown }} Step */
/** @typedef {{ step: Step; x: number; y: number }} Placed */

const box = { width: 168, height: 52, across: 72, down: 18, edge: 12 };
const marks = /** @type {Record<string, string>} */ ({ pending: "○", running: "◐", done: "●", failed: "✕", skipped: "–" });

/**
 * Each step stands one layer behind the last of those that it waits for; within a layer, near to them.
 * @param {Step[]} steps @returns {Placed[][]} by layer
 */
export function layersOf(steps) {
  const byId = new Map(steps.map((step) => [step.id, step]));
  /** @type {Map<string, number>} */
  const known = new Map();
  /** @type {(id: string) => number} */
  const layerOf = (id) => {
    const found = known.get(id);
    if (found !== undefined) return found;
    known.set(id, 0); // a node refuses circles; if one came, this ends it
    const before = byId.get(id)?.after.filter((other) => byId.has(other)) ?? [];
    const layer = Math.max(0, ...before.map((other) => layerOf(other) + 1));
    known.set(id, layer);
    return layer;
  };
  /** @type {Step[][]} */
  const layers = [];
  for (const step of steps) (layers[layerOf(step.id)] ??= []).push(step);
  /** @type {Map<string, number>} */
  const row = new Map();
  return layers.map((members, column) => {
    const wish = (step) => step.after.reduce((sum, id) => sum + (row.get(id) ?? 0), 0) / Math.max(1, step.after.length);
    const ordered = column === 0 ? members : [...members].sort((a, b) => wish(a) - wish(b));
    return ordered.map((step, i) => {
      row.set(step.id, i);
      return { step, x: box.edge + column * (box.width + box.across), y: box.edge + i * (box.height + box.down) };
    });
  });
}

/** @param {Step[]} steps @param {Set<string>} ready @param {(step: Step) => void} choose */
function pictureOf(steps, ready, choose) {
  const layers = layersOf(steps);
  const placed = new Map(layers.flat().map((one) => [one.step.id, one]));
  const width = 2 * box.edge + layers.length * (box.width + box.across) - box.across;
  const height = 2 * box.edge + Math.max(...layers.map((layer) => layer.length)) * (box.height + box.down) - box.down;
  const out = svg("svg", { class: "graph", width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Graph of the nodes" });
  for (const to of placed.values()) {
    for (const id of to.step.after) {
      const from = placed.get(id);
      if (!from) continue;
      const [x1, y1, x2, y2] = [from.x + box.width, from.y + box.height / 2, to.x, to.y + box.height / 2];
      const bend = (x2 - x1) / 2;
      out.append(svg("path", { class: `edge ${from.step.status === "done" ? "done" : ""}`, d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` }));
    }
  }
  for (const { step, x, y } of placed.values()) {
    const told = `${step.id}: ${step.status}${ready.has(step.id) ? ", may start" : ""}`;
    const group = svg("g", { class: `node node-${step.status}${ready.has(step.id) ? " ready" : ""}`, transform: `translate(${x} ${y})`, tabindex: 0, role: "button", "aria-label": told },
      svg("rect", { width: box.width, height: box.height, rx: 8 }),
      svg("text", { x: 12, y: 22, class: "node-name" }, brief(step.id, 20)),
      svg("text", { x: 12, y: 40, class: "node-status" }, `${marks[step.status] ?? ""} ${step.status}${step.attempts > 1 ? `, attempt ${step.attempts}` : ""}`));
    group.append(svg("title", {}, told));
    group.addEventListener("click", () => choose(step));
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose(step);
    });
    out.append(group);
  }
  return out;
}

/** @param {Step} step */
const detailsOf = (step) =>
  h("div.card", h("h3.id", step.id),
    facts("facts", [["Status", step.status], ["Attempts", step.attempts], ["Waits for", step.after.join(", ") || "nothing"]]),
    step.result === null || step.result === undefined ? null : h("div", h("h3", "Result"), valueView(step.result, 3)));

/** @type {Part} */
export const showGraph = (entity, to) => {
  const summary = h("p.quiet", { role: "status" });
  const scroll = scrolling("graph-scroll", "Graph");
  const details = h("div", { "aria-live": "polite" });
  const list = h("div");
  to.append(h("div.card", h("div.row", h("h2", "Graph"), summary), scroll), details, card("Nodes", list));
  /** @type {string | null} */
  let chosen = null;

  /** @param {{ status: string; cancelled: boolean; ready: string[]; nodes: Step[] }} got */
  function show(got) {
    const ready = new Set(got.ready);
    const choose = (step) => {
      chosen = step.id;
      fill(details, detailsOf(step));
    };
    if (got.nodes.length === 0) {
      summary.textContent = "";
      fill(scroll, h("p.quiet", "No nodes. PUT /nodes defines the graph."));
      return;
    }
    const left = got.nodes.filter((one) => one.status === "pending" || one.status === "running").length;
    summary.textContent = `${got.cancelled ? "cancelled" : got.status}: ${plural(got.nodes.length, "node")}, ${left} to go`;
    const { scrollLeft, scrollTop } = scroll;
    const focused = scroll.contains(document.activeElement) ? document.activeElement?.getAttribute("aria-label")?.split(":")[0] : null;
    fill(scroll, pictureOf(got.nodes, ready, choose));
    scroll.scrollTo(scrollLeft, scrollTop);
    if (focused) /** @type {HTMLElement | null} */ (scroll.querySelector(`[aria-label^="${CSS.escape(focused)}:"]`))?.focus();
    const step = got.nodes.find((one) => one.id === chosen);
    if (step) choose(step);
    const rows = got.nodes.map((one) => [h("span.id", one.id), [h("span", { class: `status ${one.status}` }, one.status), ready.has(one.id) ? " may start" : ""], one.after.join(", ") || "–", one.attempts, brief(one.result ?? "–", 80)]);
    fill(list, table("Nodes", ["Node", "Status", "Waits for", "Attempts", "Result"], rows));
  }
  const read = () => entity.get("/nodes").then(show, excuse(scroll, entity.signal));
  read();
  return read;
};
