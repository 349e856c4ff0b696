// A change: what it did to its item, whom it concerns and why, and what became of it.
import { get } from "./api.js";
import { badge, fill, h, many, moment, table } from "./dom.js";
import { keyText, pathText, typed } from "./values.js";

export const TITLE = "Record";

export async function show(root, [event]) {
  const page = new Record(root, event);
  await page.load();
  return page;
}

class Record {
  constructor(root, event) {
    this.root = root;
    this.event = event;
    this.text = "";
  }

  async load() {
    const found = await get("/change", { event: this.event });
    const text = JSON.stringify(found);
    if (text === this.text) return;
    this.text = text;
    fill(this.root, heading(found), images(found), outcomes(found), concerns(found));
  }

  update() {
    this.load().catch(() => {});
  }
}

function heading(found) {
  const keys = encodeURIComponent(found.key);
  return [
    h("h1", {}, `${found.kind} of `, h("span", { class: "code" }, keyText(found.key))),
    h("dl", { class: "facts" },
      fact("Table", found.table), fact("Made", moment(found.created)), fact("Event id", code(found.event)),
      fact("Sequence number", code(found.sequence)), fact("Version", code(found.version || "none")),
      found.expired ? fact("Deleted by", "DynamoDB's TTL") : null),
    found.unreadable ? h("p", { class: "fault" }, `This record is no change: ${found.unreadable}`) : null,
  ];
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

function code(text) {
  return h("span", { class: "code" }, text || "none");
}

function images(found) {
  const same = found.difference.filter((row) => row.state === "same").length;
  const rows = found.difference.map((row) =>
    h("tr", { class: `diff ${row.state}` },
      h("th", { scope: "row", class: "code" }, pathText(row.path)),
      h("td", {}, row.state),
      h("td", {}, typed(row.old)),
      h("td", {}, typed(row.new))),
  );
  const changed = found.difference.length - same;
  return h("section", { "aria-label": "The item" },
    h("h2", {}, "The item, before and after"),
    h("p", { class: "quiet" }, `${changed} ${changed === 1 ? "part differs" : "parts differ"}, ${same} the same.`),
    table("Difference", ["Attribute", "State", "Before", "After"], h("tbody", {}, rows)));
}

function outcomes(found) {
  const cards = Object.entries(found.fates).map(([branch, fate]) =>
    h("li", { class: "lane" },
      h("h3", {}, branch),
      h("p", {}, fate.outcome ? badge(fate.outcome) : h("span", { class: "absent" }, fate.end || "waiting")),
      fate.cause ? h("p", { class: "cause" }, fate.cause) : null,
      h("p", { class: "quiet" }, `${many(fate.deliveries, "delivery", "deliveries")}, ${fate.retries} retried, ${fate.bisections} bisected`),
      h("ol", { class: "steps" }, fate.steps.map((step) => h("li", {}, moment(step.at), " ", step.what)))),
  );
  return h("section", { "aria-label": "Outcomes" }, h("h2", {}, "What became of it"), h("ul", { class: "lanes" }, cards));
}

function concerns(found) {
  const rows = found.reasons.map((reason) =>
    h("tr", { class: reason.concerned ? false : "unconcerned" },
      h("td", {}, reason.branch),
      h("th", { scope: "row" }, reason.declaration),
      h("td", {}, reason.concerned ? "yes" : "no"),
      h("td", {}, h("ul", { class: "why" }, reason.why.map((each) => h("li", {}, each))),
        reason.fault ? h("p", { class: "fault" }, reason.fault) : null),
      h("td", { class: "code" }, lines(reason.before)),
      h("td", { class: "code" }, lines(reason.after))),
  );
  return h("section", { "aria-label": "Declarations" },
    h("h2", {}, "Which declarations it concerns, and why"),
    found.faults.map((each) => h("p", { class: "fault" }, each)),
    table("Declarations", ["Branch", "Declaration", "Concerned", "Why", "Keys before", "Keys after"],
      h("tbody", {}, rows)));
}

function lines(keys) {
  return keys.length ? keys.map((each) => h("div", {}, each)) : h("span", { class: "absent" }, "none");
}
