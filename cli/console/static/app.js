// The frame of all pages: which page the address names, and what the server tells.
import { get, listen, takeToken } from "./api.js";
import { fault, fill, h } from "./dom.js";
import * as contents from "./contents.js";
import * as key from "./key.js";
import * as parked from "./parked.js";
import * as record from "./record.js";
import * as stream from "./stream.js";
import * as trying from "./try.js";

const PAGES = { stream, record, key, parked, contents, try: trying };
const LISTED = ["stream", "key", "parked", "contents", "try"];

const main = document.getElementById("main");
const state = document.getElementById("state");
let current = { update() {} };
let summary = null;
let opened = 0;

function address() {
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/");
  return { name: PAGES[name] ? name : "stream", rest: rest.map(decodeURIComponent) };
}

function listPages(name) {
  const item = (each) =>
    h("li", {}, h("a", { href: `#/${each}`, "aria-current": each === name ? "page" : false }, PAGES[each].TITLE));
  fill(document.getElementById("pages"), LISTED.map(item));
}

async function open(moved) {
  const turn = ++opened;
  const { name, rest } = address();
  listPages(name);
  document.title = `${PAGES[name].TITLE} – Distributary console`;
  const root = h("div", { class: `page page-${name}` });
  try {
    summary = summary || (await get("/summary"));
    const page = await PAGES[name].show(root, rest, summary);
    if (turn !== opened) return;
    current = page || { update() {} };
  } catch (error) {
    if (turn !== opened) return;
    current = { update() {} };
    fill(root, h("h1", {}, PAGES[name].TITLE), fault(error));
  }
  fill(main, root);
  if (moved) main.focus();
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
