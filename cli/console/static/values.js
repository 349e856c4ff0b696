// Shows DynamoDB's typed values, with their types.
import { h } from "./dom.js";

const NAMES = {
  S: "string", N: "number", B: "binary", BOOL: "boolean", NULL: "null", M: "map", L: "list",
  SS: "string set", NS: "number set", BS: "binary set",
};
const MOST = 2000;

/** A value with its type; the whole JSON of what is nested. */
export function typed(value) {
  if (value === undefined) return h("span", { class: "absent" }, "absent");
  const kind = value && typeof value === "object" ? Object.keys(value)[0] : undefined;
  if (!NAMES[kind]) return h("code", { class: "value" }, cut(JSON.stringify(value) ?? String(value)));
  const held = value[kind];
  const text = typeof held === "object" && held !== null ? JSON.stringify(held) : String(held);
  return h("span", { class: "typed" }, h("abbr", { class: "type", title: NAMES[kind] }, kind), " ",
    h("code", { class: "value" }, cut(text)));
}

/** A key as a person reads it: its values, separated. `text` is its DynamoDB JSON. */
export function keyText(text) {
  try {
    const keys = JSON.parse(text);
    return Object.keys(keys).sort().map((name) => String(Object.values(keys[name])[0])).join(" / ");
  } catch {
    return text;
  }
}

function cut(text) {
  return text.length <= MOST ? text : `${text.slice(0, MOST)}… (${text.length} characters)`;
}

/** A path in an item, such as lines[2].price. */
export function pathText(path) {
  return path.map((part, at) => (typeof part === "number" ? `[${part}]` : at ? `.${part}` : part)).join("");
}

/** The address of a key's page; `key` is DynamoDB JSON as text. */
export function keyAddress(table, key) {
  return `#/key/${encodeURIComponent(table)}/${encodeURIComponent(key)}`;
}

/** An item, a row or a document as a table of its attributes; plain values are documents'. */
export function attributes(label, content) {
  const names = Object.keys(content).sort();
  const row = (name) => h("tr", {}, h("th", { scope: "row", class: "code" }, name), h("td", {}, typed(content[name])));
  return h("table", { class: "attributes", "aria-label": label }, h("tbody", {}, names.map(row)));
}
