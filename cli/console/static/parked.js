// What is parked, by cause, with what gives it to its function again.
import { get, post } from "./api.js";
import { action, badge, fill, h, moment, table } from "./dom.js";
import { settled } from "./key.js";
import { keyAddress, keyText } from "./values.js";

export const TITLE = "Parked";
const PAUSE = 2000;

export async function show(root, _, summary) {
  const page = new Parked(root, summary);
  await page.load();
  return page;
}

class Parked {
  constructor(root, summary) {
    this.acts = summary.acts;
    this.changes = summary.kind === "stack" ? "trace" : "record";
    this.groups = h("div");
    this.said = h("p", { class: "quiet", role: "status" });
    this.text = "";
    this.next = 0;
    fill(root, h("h1", {}, "Parked changes, by cause"), this.said, this.groups);
  }

  async load() {
    const found = await get("/parked");
    const text = JSON.stringify(found.groups);
    if (text === this.text) return;
    this.text = text;
    const many = found.groups.reduce((sum, group) => sum + group.changes, 0);
    fill(this.said, many ? `${many}${found.more ? " and more" : ""} parked.` : "Nothing is parked.");
    fill(this.groups, found.groups.map((group) => this.group(group)));
  }

  update() {
    if (Date.now() < this.next) return;
    this.next = Date.now() + PAUSE;
    this.load().catch(() => {});
  }

  group(group) {
    const told = h("span", { class: "said" });
    const redrive = action(`Redrive ${group.changes === 1 ? "it" : `all ${group.changes}`}`, async () => {
      await post("/redrive", { branch: group.branch, cause: group.cause });
      const end = await settled((text) => fill(told, text));
      fill(told);
      fill(this.said, end);
      setTimeout(() => this.load().catch(() => {}), 0);
      return end;
    });
    const rows = group.items.map((item) =>
      h("tr", {}, h("td", {}, moment(item.when)), h("td", {}, keyLink(item)),
        h("td", {}, item.event ? h("a", { href: `#/${this.changes}/${encodeURIComponent(item.event)}` }, "its change") : "")));
    return h("section", { "aria-label": group.cause },
      h("h2", {}, badge("parked"), ` ${group.changes} in ${group.branch}: `, group.cause),
      this.acts ? h("p", {}, redrive, " ", told) : null,
      table(`Parked in ${group.branch}`, ["Parked", "Key", "Change"], h("tbody", {}, rows)));
  }
}

function keyLink(item) {
  if (!item.key) return h("span", { class: "absent" }, "its key cannot be read");
  const text = JSON.stringify(item.key);
  return h("a", { class: "code", href: keyAddress(item.table, text) }, keyText(text));
}
