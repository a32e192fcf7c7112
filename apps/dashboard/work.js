// What a session counts and keeps of an agent's work: usage and budget, todos, loop verdicts, variables.

import { card, excuse, facts, fill, h, table } from "./dom.js";
import { number, plural } from "./format.js";
import { valueView } from "./value.js";

/** @import { Part } from "./entity.js" */

const most_calls = 50; // of the turn, the newest; then: a line tells how many are left out

function usageView(usage) {
  const budget = usage.budget === undefined ? null : h("div",
    h("meter", { max: Math.max(usage.budget, usage.total_tokens, 1), low: usage.budget * 0.8, high: usage.budget, optimum: 0, value: usage.total_tokens, "aria-label": "Tokens used of the budget" }),
    h("p", { class: usage.over_budget ? "bad" : "quiet" }, `${number(usage.total_tokens)} of ${number(usage.budget)} tokens${usage.over_budget ? ": over budget" : ""}`));
  return [facts("figures", [["Prompt", number(usage.prompt_tokens)], ["Completion", number(usage.completion_tokens)], ["Total", number(usage.total_tokens)], ["Last call", number(usage.last.total_tokens)]]), budget ?? h("p.quiet", "No budget.")];
}

const marks = /** @type {Record<string, string>} */ ({ pending: "○", in_progress: "◐", completed: "●", cancelled: "×" });

function todosView(todos) {
  if (todos.length === 0) return h("p.quiet", "No todos.");
  return h("ul.todos", todos.map((todo) => h("li", { class: `todo ${todo.status}` },
    h("span.todo-mark", { "aria-hidden": "true" }, marks[todo.status] ?? "○"),
    h("span.todo-text", { dir: "auto" }, todo.content),
    h("span", { class: `tag priority-${todo.priority}` }, todo.priority),
    h("span.quiet", todo.status.replaceAll("_", " ")))));
}

function loopView(loop) {
  const times = `the newest call was made ${plural(loop.count, "time")} in a row, the limit is ${loop.limit}`;
  const verdict = h("p", { class: loop.looping ? "bad" : "good" }, loop.calls.length === 0 ? "No tool calls in this turn." : `${loop.looping ? "Looping" : "Not looping"}: ${times}.`);
  const shown = loop.calls.slice(-most_calls).reverse();
  const left = loop.calls.length - shown.length;
  const rows = shown.map((call) => [call.number, call.tool, call.count, call.looping ? h("strong.bad", "looping") : "fine", h("span.hash", { title: call.arguments_sha256 }, call.arguments_sha256.slice(0, 8))]);
  return [verdict, rows.length ? table("Tool calls of this turn", ["Call", "Tool", "Times", "Verdict", "Arguments"], rows) : null, left > 0 ? h("p.quiet", `and ${left} before`) : null];
}

function variablesView(notebook) {
  const told = [notebook.notebook_id ? `notebook ${notebook.notebook_id}` : "", notebook.cell_count ? plural(notebook.cell_count, "cell") : ""].filter(Boolean);
  return [told.length ? h("p.quiet", told.join(", ")) : null, Object.keys(notebook.variables).length ? valueView(notebook.variables, 1) : h("p.quiet", "No variables.")];
}

/** @type {[string, string, (got: any) => any][]} heading, path and view */
const cards = [
  ["Usage", "/usage", usageView],
  ["Todos", "/todos", (got) => todosView(got.todos)],
  ["Loop detection", "/loop-history", loopView],
  ["Variables", "/variables", variablesView],
];

/** @type {Part} */
export const showWork = (entity, to) => {
  const bodies = cards.map(([name]) => {
    const body = h("div");
    to.append(card(name, body));
    return body;
  });
  const read = () => {
    cards.forEach(([, path, show], i) => {
      entity.get(path).then((got) => fill(bodies[i], show(got)), excuse(bodies[i], entity.signal));
    });
  };
  read();
  return (events) => {
    const touched = events.filter((name) => !name.startsWith("items_") && !name.startsWith("state_"));
    if (events.length === 0 || touched.length > 0 || events.includes("items_appended")) read();
  };
};
