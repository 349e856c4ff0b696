// The frame of all pages: which page the address names, and what the server tells.
import { get, listen, takeToken } from "./api.js";
import { fault, fill, h } from "./dom.js";
import * as contents from "./contents.js";
import * as key from "./key.js";
import * as parked from "./parked.js";
import * as record from "./record.js";
import * as stack from "./stack.js";
import * as start from "./start.js";
import * as stream from "./stream.js";
import * as trace from "./trace.js";
import * as trying from "./try.js";

const PAGES = { start, stream, record, key, parked, contents, try: trying, stack, trace };

/** Pages by what the console shows: services alone, attached functions, a deployed stack. The first one opens first. */
const LISTED = {
  start: ["start"],
  attached: ["stream", "key", "parked", "contents", "try"],
  stack: ["stack", "trace", "key", "parked", "contents"],
};

function isPage(kind, name) {
  return LISTED[kind].includes(name) || (kind === "attached" && name === "record");
}

const main = document.getElementById("main");
const state = document.getElementById("state");
let current = { update() {} };
let summary = null;
let opened = 0;

function address() {
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/");
  return { name, rest: rest.map(decodeURIComponent) };
}

function listPages(kind, name) {
  const item = (each) =>
    h("li", {}, h("a", { href: `#/${each}`, "aria-current": each === name ? "page" : false }, PAGES[each].TITLE));
  fill(document.getElementById("pages"), LISTED[kind].map(item));
}

async function open(moved) {
  const turn = ++opened;
  const { name: wanted, rest } = address();
  const root = h("div", { class: "page" });
  let name = "stream";
  try {
    summary = summary || (await get("/summary"));
    name = isPage(summary.kind, wanted) ? wanted : LISTED[summary.kind][0];
    listPages(summary.kind, name);
    document.title = `${PAGES[name].TITLE} – Distributary console`;
    const page = await PAGES[name].show(root, rest, summary);
    if (turn !== opened) return;
    current = page || { update() {} };
  } catch (error) {
    if (turn !== opened) return;
    current = { update() {} };
    fill(root, h("h1", {}, PAGES[name].TITLE), fault(error));
  }
  fill(main, root);
  if (!moved) return;
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function told(found) {
  summary = found;
  current.update(found);
}

function connected(how) {
  state.className = how === "live" ? "live" : "lost";
  if (state.textContent !== how) state.textContent = how;
}

takeToken();
window.addEventListener("hashchange", () => {
  if (location.hash === "#main") return;
  if (location.hash.startsWith("#token=")) takeToken();
  open(true);
});
open(false);
listen(told, connected);
