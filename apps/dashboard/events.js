// The changes of one entity as they come, and those that are still kept.

import { node } from "./api.js";
import { h, stamp } from "./dom.js";
import { createFeed, eventsText } from "./feed.js";

/** @import { Part } from "./entity.js" */

const most_rows = 500; // then: the oldest goes

const row = (change) => h("li", stamp(change.at), h("span.num", `r${change.revision}`), h("span.what", eventsText(change.events)));

/** @type {Part} */
export const showEvents = (entity, to) => {
  const feed = createFeed("Events", most_rows, row, (a, b) => a.revision === b.revision);
  to.append(feed.element);
  // From the last revisions on: those that are not kept any more come as a gap, and are left out.
  const after = `1-${Math.max(0, entity.info.revision - most_rows)}`;
  node.follow(`${entity.base}/events`, { changes: (messages) => feed.add(messages.map((message) => JSON.parse(message.data))), gap: () => {} }, entity.signal, after);
  return () => {};
};
