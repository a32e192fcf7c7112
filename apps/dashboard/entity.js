// One session, workflow, team, user or the global scope: what it is, what can be done with it, its parts.

import { node, Problem } from "./api.js";
import { actionBar } from "./actions.js";
import { showBranches } from "./branches.js";
import { showCheckpoints, showDiff } from "./versions.js";
import { append, atMostEvery, card, facts, fill, h } from "./dom.js";
import { showEvents } from "./events.js";
import { bytes, moment, ago, plural } from "./format.js";
import { showGraph } from "./graph.js";
import { showHistory } from "./history.js";
import { showState } from "./state.js";
import { showMembers, showMessages } from "./team.js";
import { valueView } from "./value.js";
import { showWork } from "./work.js";

/** @import { View } from "./main.js" */

/**
 * The entity that is shown, as its parts see it: its place ("sessions") and kind ("session"), its path in the API, the
 * newest info, and a way to ask for what is below its path.
 * @typedef {{ place: string; kind: string; id: string; base: string; info: any; signal: AbortSignal; get: (path: string) => Promise<any>; reread: () => void }} Entity
 */
/**
 * What a part does when the entity changed; names are those of docs/events.md, none: anything may have.
 * @typedef {(events: string[]) => void} Changed
 */
/** @typedef {(entity: Entity, to: HTMLElement) => Changed | void} Part */

/** @type {Record<string, [string, string, Part[]][]>} address, name and parts of each tab; the first is shown first */
const tabs = {
  session: [["history", "History", [showHistory]], ["state", "State", [showState]], ["work", "Work", [showWork]]],
  workflow: [["graph", "Graph", [showGraph]], ["state", "State", [showState]]],
  team: [["messages", "Messages", [showMessages]], ["members", "Members", [showMembers]], ["state", "State", [showState]]],
  user: [["state", "State", [showState]]],
  global: [["state", "State", [showState]]],
};
/** @type {[string, string, Part[]][]} */
const common = [["versions", "Versions", [showCheckpoints, showBranches, showDiff]], ["events", "Events", [showEvents]], ["about", "About", [showAbout]]];

/** @param {string} place @param {string} id */
export const hrefOf = (place, id) => (place === "global" ? "#/global" : `#/${place}/${encodeURIComponent(id)}`);

/** @type {Part} */
function showAbout(entity, to) {
  const body = h("div");
  to.append(card("About", body));
  const show = () => {
    const { info } = entity;
    /** @type {[string, any][]} */
    const rows = [
      ["Created", moment(info.created)],
      ["Last used", moment(info.last_activity)],
      ["User", info.user || "nobody's"],
      ["Tags", info.tags?.join(", ")],
      ["Readers", info.readers?.join(", ")],
      ["Time to live", info.ttl_s && plural(info.ttl_s, "second")],
      ["Schema", info.schema && `${info.schema.id}, version ${info.schema.version}`],
      ["Size", bytes(info.bytes)],
    ];
    fill(body, facts("facts", rows.filter(([, value]) => value)), h("h3", "Metadata"), valueView(info.metadata, 3));
  };
  show();
  return show;
}

/** @param {Entity} entity */
function headline({ info, kind }) {
  return [
    h("span", { class: `status ${info.status}` }, info.status),
    h("span", "revision ", h("strong", { id: "revision" }, String(info.revision))),
    kind === "session" || kind === "team" ? h("span", plural(info.items, kind === "team" ? "message" : "item")) : null,
    h("span", bytes(info.bytes)),
    h("time", { datetime: info.last_activity, title: moment(info.last_activity) }, `used ${ago(info.last_activity)}`),
    info.user ? h("a", { href: hrefOf("users", info.user) }, `user ${info.user}`) : null,
    info.workflow ? h("a", { href: hrefOf("workflows", info.workflow) }, `workflow ${info.workflow}`) : null,
    info.team ? h("a", { href: hrefOf("teams", info.team) }, `team ${info.team}`) : null,
    info.forked_from ? h("a", { href: hrefOf(`${kind}s`, info.forked_from.parent) }, `fork of ${info.forked_from.parent} at ${info.forked_from.at}`) : null,
    ...(info.tags ?? []).slice(0, 6).map((tag) => h("span.tag", tag)),
  ];
}

/** @param {View} view @param {string} place @param {string} id @param {string} tab */
export async function showEntity({ main, signal, linkState }, place, id, tab) {
  const kind = place === "global" ? "global" : place.slice(0, -1);
  const base = place === "global" ? "/v1/global" : `/v1/${place}/${encodeURIComponent(id)}`;
  const title = h("h1.id", { tabindex: "-1" }, id);
  const line = h("div.facts-line");
  const bar = h("div.actions", { role: "toolbar", "aria-label": "Actions" });
  const links = h("nav.tabs", { "aria-label": "Parts" });
  const body = h("div.parts");
  append(main, [h("div.entity-head", h("p.kind", kind), title, line, bar), links, body]);

  /** @type {Entity} */
  const entity = { place, kind, id, base, info: null, signal, get: (path) => node.get(base + path, signal), reread: () => {} };
  try {
    entity.info = await node.get(base, signal);
  } catch (why) {
    if (signal.aborted || !(why instanceof Problem) || why.status === 401) return;
    links.hidden = true;
    fill(body, h("p", why.status === 404 ? `There is no ${kind} of this name, or it is not yours to see.` : why.message));
    return;
  }
  if (signal.aborted) return;
  const all = [...tabs[kind], ...common];
  const shown = all.find(([name]) => name === tab) ?? all[0];
  fill(links, all.map(([name, text]) => h("a", { href: `${hrefOf(place, id)}/${name}`, "aria-current": name === shown[0] ? "page" : null }, text)));
  body.classList.add(`part-${shown[0]}`);
  const showFacts = () => fill(line, headline(entity));
  showFacts();
  actionBar(entity, bar);
  const parts = shown[2].map((part) => part(entity, body)).filter((changed) => changed !== undefined);

  /** @type {any[]} */
  let waiting = [];
  let anything = false;
  const catchUp = atMostEvery(150, async () => {
    const changes = waiting;
    const events = anything ? [] : [...new Set(changes.flatMap((change) => change.events))];
    const known = entity.info.revision;
    waiting = [];
    anything = false;
    try {
      entity.info = await node.get(base, signal);
    } catch (why) {
      if (why instanceof Problem && why.status === 404) fill(body, h("p", `This ${kind} was deleted, or is not yours to see any more.`));
      return;
    }
    if (signal.aborted) return;
    showFacts();
    if (changes.length === 0 && entity.info.revision === known) return;
    for (const changed of parts) changed(events);
  });
  entity.reread = () => {
    anything = true;
    catchUp();
  };
  const usedAgo = setInterval(showFacts, 30_000);
  signal.addEventListener("abort", () => clearInterval(usedAgo));
  node.follow(`${base}/events`, {
    changes(messages) {
      waiting.push(...messages.map((message) => JSON.parse(message.data)));
      catchUp();
    },
    gap: entity.reread,
    state: linkState,
  }, signal);
}
