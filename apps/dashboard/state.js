// The key-value state of an entity; of a session also what it inherits, each key with where it comes from.

import { excuse, fill, h } from "./dom.js";
import { plural } from "./format.js";
import { valueView } from "./value.js";

/** @import { Part } from "./entity.js" */

const most_keys = 500; // then: a filter finds the others

/** @type {Part} */
export const showState = (entity, to) => {
  const count = h("span.quiet");
  const list = h("div.state-list");
  const needle = h("input", { type: "search", placeholder: "Find a key", "aria-label": "Find a key", oninput: () => show() });
  to.append(h("section.card", { "aria-labelledby": "state-title" }, h("div.row", h("h2", { id: "state-title" }, "State"), count, h("span.grow"), needle), list));
  /** @type {{ revision: number; state: Record<string, unknown>; sources?: Record<string, string> }} */
  let held = { revision: 0, state: {} };

  function show() {
    const wanted = needle.value.toLowerCase();
    const keys = Object.keys(held.state).filter((key) => key.toLowerCase().includes(wanted)).sort();
    const rows = keys.slice(0, most_keys).map((key) => {
      const from = held.sources?.[key] ?? entity.kind;
      return h("div.state-row",
        h("div.state-key", h("strong.id", key), held.sources ? h("span", { class: `tag from-${from}` }, from) : null),
        valueView(held.state[key], 1));
    });
    count.textContent = keys.length > most_keys ? `${most_keys} of ${plural(keys.length, "key")}` : plural(keys.length, "key");
    fill(list, rows.length ? rows : h("p.quiet", wanted ? "No such key." : "No keys."));
  }
  const read = () => entity.get("/state?inherit=true").then((got) => {
    held = got;
    show();
  }).catch(excuse(list, entity.signal));
  read();
  return read;
};
