// Where the page begins: places, the address behind `#`, the sign-in, the theme.

import { node } from "./api.js";
import { showEntity } from "./entity.js";
import { showList } from "./lists.js";
import { showOverview } from "./overview.js";
import { fill, h } from "./dom.js";

/**
 * What a view gets: where to stand, a signal that ends what it began, the address, and whom to tell whether live
 * changes arrive.
 * @typedef {{ main: HTMLElement; signal: AbortSignal; path: string[]; query: URLSearchParams; linkState: (open: boolean) => void }} View
 */

const places = [["", "Overview"], ["sessions", "Sessions"], ["workflows", "Workflows"], ["teams", "Teams"], ["users", "Users"], ["global", "Global"]];

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const main = element("main");
let shown = new AbortController();
let asking = false;

function readAddress() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  /** @type {string[]} */
  let steps = [];
  try {
    if (path) steps = path.split("/").map(decodeURIComponent);
  } catch {
    steps = ["?"]; // a '%' that is none: no such page
  }
  return { path: steps, query: new URLSearchParams(query) };
}

/** @param {boolean} open */
function linkState(open) {
  const state = element("link");
  state.textContent = open ? "Live" : "Reconnecting";
  state.dataset.open = String(open);
}

/** @type {string | null} */
let currentPlace = null;
function show() {
  shown.abort();
  shown = new AbortController();
  const { path, query } = readAddress();
  /** @type {View} */
  const view = { main, signal: shown.signal, path, query, linkState };
  asking = false;
  const [place, id] = path;
  fill(element("places"), places.map(([to, name]) => h("a", { href: `#/${to}`, "aria-current": to === (place ?? "") ? "page" : null }, name)));
  fill(main);
  if (place === undefined) showOverview(view);
  else if (place === "global") showEntity(view, "global", "global", id ?? "");
  else if (!/^(sessions|workflows|teams|users)$/.test(place)) fill(main, h("h1", "No such page"), h("p", h("a", { href: "#/" }, "Overview")));
  else if (id === undefined) showList(view, place);
  else showEntity(view, place, id, path[2] ?? "");
  document.title = `${id ?? places.find(([p]) => p === (place ?? ""))?.[1] ?? "Troupe"} · Troupe`;
  const here = path.slice(0, 2).join("/");
  if (currentPlace !== null && here !== currentPlace) main.querySelector("h1")?.focus({ preventScroll: true });
  currentPlace = here;
}

/** The node lets nobody in with what it was shown: asks for a token in place of the view. */
function askForToken() {
  if (asking) return;
  asking = true;
  shown.abort();
  const again = node.hasToken;
  node.signIn("");
  element("sign-out").hidden = true;
  linkState(false);
  element("link").textContent = "Signed out";
  const input = h("input", { type: "password", id: "token", name: "token", autocomplete: "off", required: true, "aria-describedby": "token-help", placeholder: "troupe_…" });
  const enter = (event) => {
    event.preventDefault();
    node.signIn(input.value);
    input.value = "";
    element("sign-out").hidden = false;
    show();
  };
  const form = h("form.sign-in.card", { onsubmit: enter },
    h("h1", { tabindex: "-1" }, "Sign in"),
    h("p", { role: "alert" }, again ? "The access token is unknown, or not valid any more." : "This node asks for an access token."),
    h("label", { for: "token" }, "Access token"),
    input,
    h("p.quiet", { id: "token-help" }, "It stays in this page's memory: not in storage, not in a cookie. A reload asks again. ", h("code", "troupe token create"), " makes one."),
    h("button.primary", "Sign in"));
  fill(main, form);
  input.focus();
}

const themes = ["system", "light", "dark"];
let theme = 0;
/** @param {(storage: Storage) => void} use */
function withStorage(use) {
  try {
    use(localStorage);
  } catch {
    // It is refused: the choice lasts as long as the page.
  }
}
function showTheme() {
  document.documentElement.dataset.theme = themes[theme];
  element("theme").textContent = `Theme: ${themes[theme]}`;
}
withStorage((storage) => (theme = Math.max(0, themes.indexOf(storage.getItem("theme") ?? ""))));
showTheme();
element("theme").addEventListener("click", () => {
  theme = (theme + 1) % themes.length;
  showTheme();
  withStorage((storage) => storage.setItem("theme", themes[theme]));
});

element("sign-out").addEventListener("click", () => {
  node.signIn("");
  askForToken();
});
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
node.refused = askForToken;
window.addEventListener("hashchange", show);
show();
