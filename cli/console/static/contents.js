// Views and indexes: rows, groups with the items that make them up, documents with a search box.
import { get } from "./api.js";
import { fault, fill, h, many, table } from "./dom.js";
import { attributes, keyAddress, keyText } from "./values.js";

export const TITLE = "Views and indexes";

export async function show(root, [kind, name]) {
  const declared = await get("/contents");
  const page = h("div");
  fill(root, h("h1", {}, TITLE), listed(declared, kind, name), page);
  if (kind === "view") await new Rows(page, declared.views.find((each) => each.name === name), name).load("");
  if (kind === "index") await documents(page, name);
  return null;
}

function listed(declared, kind, name) {
  const link = (what, each) =>
    h("a", { href: `#/contents/${what}/${encodeURIComponent(each.name)}`,
      "aria-current": what === kind && each.name === name ? "page" : false }, each.name);
  const views = declared.views.map((each) =>
    h("tr", {}, h("th", { scope: "row" }, link("view", each)), h("td", {}, each.kind), h("td", {}, each.entity),
      h("td", { class: "code" }, `${each.pk} / ${each.sk}`), h("td", {}, each.units.insert),
      h("td", {}, each.units.update), h("td", {}, each.units.delete)));
  const indexes = declared.indexes.map((each) =>
    h("tr", {}, h("th", { scope: "row" }, link("index", each)), h("td", {}, each.entity),
      h("td", {}, each.fields.join(", "))));
  const headings = ["View", "Kind", "Entity", "Key", "Units of an insert", "of an update", "of a delete"];
  return [
    views.length ? table("Views", headings, h("tbody", {}, views)) : h("p", {}, "No view is attached."),
    indexes.length ? [h("h2", {}, "Indexes"), table("Indexes", ["Index", "Entity", "Fields"], h("tbody", {}, indexes))]
      : null,
  ];
}

class Rows {
  constructor(root, view, name) {
    this.view = view;
    this.name = name;
    this.cursor = "";
    this.body = h("tbody");
    this.said = h("p", { class: "quiet", role: "status" });
    this.group = h("div", { tabindex: "-1" });
    this.first = h("button", { type: "button", onclick: () => this.load("") }, "First rows");
    this.next = h("button", { type: "button", onclick: () => this.load(this.cursor) }, "More rows");
    const headings = ["Key", "Row", ...(view && view.groups ? ["Items"] : [])];
    fill(root, h("section", { "aria-label": "Rows" }, h("h2", {}, `Rows of ${name}`), this.said,
      table(`Rows of ${name}`, headings, this.body), h("p", {}, this.first, " ", this.next)), this.group);
  }

  async load(cursor) {
    try {
      const found = await get("/rows", { view: this.name, cursor });
      this.cursor = found.cursor;
      this.next.disabled = !found.cursor;
      fill(this.said, many(found.rows.length, "row"), found.cursor ? ", and there are more" : "");
      fill(this.body, found.rows.map((row) => this.row(row)));
    } catch (error) {
      fill(this.said, fault(error));
    }
  }

  row(row) {
    const { pk, sk, ...rest } = row;
    const shown = Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith("_distributary")));
    const items = h("button", { type: "button", onclick: () => this.items(pk.S, sk.S) }, "Its items");
    return h("tr", {}, h("th", { scope: "row", class: "code" }, `${pk.S} / ${sk.S}`),
      h("td", {}, attributes(`Row ${pk.S} / ${sk.S}`, shown)), this.view.groups ? h("td", {}, items) : null);
  }

  async items(pk, sk) {
    try {
      const found = await get("/group", { view: this.name, pk, sk });
      const rows = found.items.map((item) => {
        const text = JSON.stringify(item.key);
        const adds = Object.entries(item.adds).map(([name, amount]) => `${name} ${amount}`).join(", ");
        return h("tr", {}, h("td", {}, h("a", { class: "code", href: keyAddress(item.table, text) }, keyText(text))),
          h("td", {}, adds));
      });
      const more = found.more ? " Not all of the ledger was read." : "";
      fill(this.group, h("section", { "aria-label": "Group" }, h("h2", {}, `Items of ${pk} / ${sk}`),
        h("p", { class: "quiet" }, `${many(found.items.length, "item")}.${more}`),
        table("Items of the group", ["Item", "What it adds"], h("tbody", {}, rows))));
      this.group.focus();
    } catch (error) {
      fill(this.group, fault(error));
    }
  }
}

async function documents(root, name) {
  const said = h("p", { class: "quiet", role: "status" });
  const body = h("tbody");
  const box = h("input", { type: "search", name: "q", autocomplete: "off", placeholder: "title:tea" });
  const look = async (event) => {
    if (event) event.preventDefault();
    try {
      const found = await get("/documents", { index: name, q: box.value.trim() });
      fill(said, `${many(found.total, "document")} found.`);
      fill(body, found.documents.map((each) => h("tr", {}, h("th", { scope: "row", class: "code" }, each.id),
        h("td", {}, attributes(`Document ${each.id}`, each.document)), h("td", { class: "number" }, String(each.version)))));
    } catch (error) {
      fill(said, fault(error));
    }
  };
  fill(root, h("section", { "aria-label": "Documents" }, h("h2", {}, `Documents of ${name}`),
    h("form", { class: "filters", role: "search", onsubmit: look }, h("label", {}, "Search", box), h("button", {}, "Search")),
    said, table(`Documents of ${name}`, ["Id", "Document", "Version"], body, [2])));
  await look();
}
