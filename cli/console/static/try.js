// Try: rewinds, duplicates, faults and edits; and whether everything converges.
import { get, post } from "./api.js";
import { action, fault, fill, h, many, table } from "./dom.js";
import { keyAddress, keyText } from "./values.js";

export const TITLE = "Try";
const PAUSE = 1500;
const WORDS = {
  throttle: "throttle its next requests of DynamoDB",
  busy: "answer 429 to its next requests of OpenSearch",
  slow: "delay its next requests",
  "crash before": "crash it before its nth request arrives",
  "crash after": "crash it after its nth request was done",
};

export async function show(root, [name, key], summary) {
  const page = new Try(root, summary);
  await page.load();
  if (name && key) await page.editor.open(name, key);
  return page;
}

class Try {
  constructor(root, summary) {
    this.next = 0;
    this.due = h("div");
    this.forms = h("div");
    this.checked = h("div", { role: "status" });
    this.editor = new Editor(summary);
    fill(
      root,
      h("h1", {}, "Try"),
      h("p", { class: "quiet" }, "Cause a fault or a change, and see that every branch ends as it should."),
      h("section", { "aria-label": "Check" }, h("h2", {}, "Does everything converge?"),
        h("p", {}, action("Check the items that changed last", () => this.check())), this.checked),
      this.forms,
      this.editor.root,
    );
  }

  async load() {
    const found = await get("/try");
    if (!this.forms.firstChild) fill(this.forms, rewinds(found), this.faults(found));
    this.tell(found.faults);
  }

  update() {
    if (Date.now() < this.next) return;
    this.next = Date.now() + PAUSE;
    get("/try").then((found) => this.tell(found.faults)).catch(() => {});
  }

  async check() {
    const found = await post("/try/check", {});
    const rows = found.wrong.map((each) => {
      const text = JSON.stringify(each.key);
      return h("tr", {}, h("td", {}, h("a", { class: "code", href: keyAddress(each.table, text) }, keyText(text))),
        h("td", {}, `${each.branch}: ${each.name}`), h("td", {}, each.state));
    });
    fill(this.checked, rows.length ? table("Differences", ["Key", "Declaration", "State"], h("tbody", {}, rows)) : null);
    const end = rows.length ? `${many(rows.length, "declaration")} of them not as it should be` : "all as they should be";
    return `${many(found.items, "item")}: ${end}`;
  }

  faults(found) {
    const reader = select("reader", found.readers);
    const kind = h("select", { name: "kind" }, found.kinds.map((each) => h("option", { value: each }, WORDS[each])));
    const number = (name, value, most) => h("input", { name, type: "number", min: "1", max: most, value });
    const form = h("form", { class: "filters", onsubmit: (event) => event.preventDefault() },
      h("label", {}, "Function", reader), h("label", {}, "Fault", kind),
      h("label", {}, "How many, or which", number("left", "1", "10000")),
      h("label", {}, "Milliseconds", number("milliseconds", "500", "60000")),
      h("label", {}, "Region", h("input", { name: "region", placeholder: "any", autocomplete: "off" })));
    const cause = action("Cause it", async () => {
      const given = Object.fromEntries([...new FormData(form)]);
      this.tell((await post("/try/fault", given)).faults);
      return "it happens with the next requests";
    });
    const back = action("Take its faults back", async () => {
      this.tell((await post("/try/clear", { reader: reader.value })).faults);
      return "done";
    });
    return h("section", { "aria-label": "Faults" }, h("h2", {}, "Faults"), form, h("p", {}, cause, " ", back), this.due);
  }

  tell(faults) {
    const text = JSON.stringify(faults);
    if (text === this.told) return;
    this.told = text;
    const lines = faults.map((each) =>
      h("li", {}, `${each.function}: ${each.kind}, ${each.left} to come`,
        each.kind === "slow" ? `, by ${each.milliseconds} ms ${each.region ? `in ${each.region}` : ""}` : ""));
    fill(this.due, lines.length ? h("ul", { "aria-label": "Faults to come" }, lines)
      : h("p", { class: "quiet" }, "No fault is to come."));
  }
}

function select(name, options) {
  return h("select", { name }, options.map((each) => h("option", { value: each }, each)));
}

function rewinds(found) {
  const reader = select("rewound", found.readers);
  return h("section", { "aria-label": "Rewind" }, h("h2", {}, "Rewind"),
    h("p", { class: "quiet" }, "The function gets everything that its shards hold again, as after a crash of Lambda's poller."),
    h("div", { class: "filters" }, h("label", {}, "Function", reader),
      action("Rewind its shards", async () => (await post("/try/rewind", { reader: reader.value })).said)));
}

/** Writes and deletes items on condition that they are as they were loaded. */
class Editor {
  constructor(summary) {
    this.before = null;
    this.tables = summary.tables;
    this.table = select("table", summary.tables.map((each) => each.name));
    this.text = h("textarea", { name: "item", rows: "12", spellcheck: "false", class: "code" });
    this.said = h("p", { class: "quiet", role: "status" });
    this.fresh();
    this.root = h("section", { "aria-label": "Items" }, h("h2", {}, "Put, edit or delete an item"),
      summary.writable ? null : h("p", { class: "note" }, "The table is on AWS, and is only read: start with --allow-writes."),
      h("div", { class: "filters" }, h("label", {}, "Table", this.table),
        h("button", { type: "button", onclick: () => this.fresh() }, "A new item")),
      h("label", {}, "The item, as DynamoDB JSON", this.text), this.said,
      h("p", {}, action("Put it", () => this.put()), " ", action("Delete it", () => this.remove())));
    if (!summary.writable) for (const each of this.root.querySelectorAll("button")) each.disabled = true;
  }

  fresh() {
    const chosen = this.tables.find((each) => each.name === this.table.value) || this.tables[0];
    const keys = Object.fromEntries(chosen.keys.map((name) => [name, { [chosen.types[name]]: "" }]));
    this.show(null, keys);
  }

  show(before, item) {
    this.before = before;
    this.text.value = JSON.stringify(item, null, 2);
    fill(this.said, before ? "You edit an item as it was loaded." : "You write a new item.");
  }

  async open(name, key) {
    this.table.value = name;
    try {
      const found = await get("/key", { table: name, key });
      this.show(found.item, found.item || JSON.parse(key));
    } catch (error) {
      fill(this.said, fault(error));
    }
  }

  async put() {
    const item = JSON.parse(this.text.value);
    const end = await post("/try/put", { table: this.table.value, item, before: this.before });
    this.show(item, item);
    return end.said;
  }

  async remove() {
    const end = await post("/try/delete", { table: this.table.value, before: this.before });
    this.show(null, JSON.parse(this.text.value));
    return end.said;
  }
}
