// A team's members and its messages, the newest at the end.

import { append, button, card, excuse, fill, h, scrolling, stamp, table } from "./dom.js";
import { plural } from "./format.js";
import { textOf } from "./item.js";
import { textView, valueView } from "./value.js";
import { Virtual } from "./virtual.js";

/** @import { Part } from "./entity.js" */

const page_size = 200;
const most_messages = 5000; // held; then: a button goes back

function messageView(one) {
  const body = typeof one.body?.text === "string" && Object.keys(one.body).length === 1 ? one.body.text : textOf(one.body);
  return h("article.item.message", { "aria-label": `message ${one.seq}` },
    h("header.item-head", h("span.who", one.from), h("span.quiet", one.to ? `to ${one.to}` : "to everybody"), h("span.seq", `#${one.seq}`), stamp(one.at)),
    body === null ? valueView(one.body, 2) : textView(body));
}

/** @type {Part} */
export const showMessages = (entity, to) => {
  /** @type {any[]} */
  let held = [];
  let from = Math.max(0, entity.info.items - most_messages); // the first one held is behind it
  const state = h("p.quiet", { role: "status" });
  const earlier = button("Earlier messages", null, { hidden: from === 0 });
  const scroller = scrolling("history", "Messages");
  append(to, [h("div.card.history-card", h("div.row.tools", h("h2", "Messages"), earlier), scroller, state)]);
  const rows = new Virtual({ scroller, estimate: 64, render: (index) => messageView(held[index]) }, entity.signal);
  const tell = () => (state.textContent = held.length ? `${plural(held.length, "message")} from #${held[0].seq}` : "No messages.");

  let reading = false;
  async function read() {
    if (reading) return;
    reading = true;
    try {
      const end = rows.atEnd || held.length === 0;
      let after = held.at(-1)?.seq ?? from;
      for (let more = true; more; ) {
        const page = await entity.get(`/messages?after=${after}&limit=${page_size}`);
        held.push(...page.items);
        after = held.at(-1)?.seq ?? after;
        more = page.next_cursor !== null;
      }
      rows.setCount(held.length);
      rows.layout();
      if (end && held.length) rows.scrollTo(held.length - 1);
      tell();
    } catch (why) {
      if (!entity.signal.aborted) state.textContent = /** @type {Error} */ (why).message;
    } finally {
      reading = false;
    }
  }
  const again = () => {
    held = [];
    rows.setCount(0);
    rows.reset();
    return read();
  };
  earlier.addEventListener("click", async () => {
    from = Math.max(0, from - most_messages);
    earlier.hidden = from === 0;
    await again();
  });
  read();
  return (events) => void (events.length > 0 && events.every((name) => name === "items_appended" || name.startsWith("cursors_")) ? read() : again());
};

/** @type {Part} */
export const showMembers = (entity, to) => {
  const body = h("div");
  to.append(card("Members", body));
  const read = () => entity.get("/members").then(({ members }) => {
    const rows = members.map((one) => [one.name, one.role || "–", `#${one.cursor}`]);
    fill(body, rows.length ? table("Members", ["Name", "Role", "Has read up to"], rows) : h("p.quiet", "No members."));
  }, excuse(body, entity.signal));
  read();
  return read;
};
