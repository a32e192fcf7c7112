// Changes as they come, the newest first, with a pause to read them.

import { atMostEvery, button, fill, h, scrolling } from "./dom.js";
import { plural } from "./format.js";

/** "state set ×3, items appended". @param {string[]} events */
export function eventsText(events) {
  const times = (name) => events.filter((one) => one === name).length;
  return [...new Set(events)].map((name) => name.replaceAll("_", " ") + (times(name) > 1 ? ` ×${times(name)}` : "")).join(", ");
}

/**
 * @template T
 * @param {string} title @param {number} most  rows; then: the oldest goes
 * @param {(one: T) => Node} row @param {(a: T, b: T) => boolean} same
 */
export function createFeed(title, most, row, same) {
  /** @type {T[]} */
  let seen = [];
  let paused = false;
  const list = h("ol.feed");
  const count = h("span.quiet", { role: "status" });
  const pause = button("Pause", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) show();
  }, { "aria-pressed": "false" });
  const show = atMostEvery(200, () => {
    count.textContent = plural(seen.length, "change");
    fill(list, seen.length ? seen.map(row) : h("li.quiet", "Nothing yet. Changes appear when they are on disk."));
  });
  show();
  return {
    element: h("div.card", h("div.row", h("h2", title), count, h("span.grow"), pause), scrolling("feed-scroll", title, list)),
    /** @param {T[]} more  the oldest first */
    add(more) {
      const fresh = more.slice(-most).filter((one) => !seen.some((other) => same(one, other)));
      seen = [...fresh.reverse(), ...seen].slice(0, most);
      if (!paused) show();
    },
  };
}
