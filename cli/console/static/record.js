// A change: what it did to its item, whom it concerns and why, and what became of it.
import { get, post } from "./api.js";
import { action, badge, fault, fill, h, many, moment, table } from "./dom.js";
import { keyAddress, keyText, pathText, typed } from "./values.js";

export const TITLE = "Record";

/** Actions of one request that are shown outside of its text. */
const MOST = 8;

export async function show(root, [event], summary) {
  const page = new Record(root, event, summary.lanes.map((lane) => lane.branch));
  await page.load();
  return page;
}

class Record {
  constructor(root, event, branches) {
    this.root = root;
    this.event = event;
    this.branches = branches;
    this.text = "";
    this.all = h("input", { type: "checkbox", onchange: () => this.ask() });
    this.issued = h("div");
    this.requested = h(
      "section",
      { "aria-label": "Requests" },
      h("h2", {}, "Requests that were issued"),
      h("p", {}, h("label", { class: "tick" }, this.all, "all requests of the batches that had it")),
      this.issued,
    );
  }

  async ask() {
    try {
      const found = await get("/requests", { event: this.event, all: this.all.checked ? "yes" : "" });
      fill(this.issued, requestTable(found.requests));
    } catch (error) {
      fill(this.issued, fault(error));
    }
  }

  async load() {
    const found = await get("/change", { event: this.event });
    const text = JSON.stringify(found);
    if (text === this.text) return;
    this.text = text;
    fill(this.root, heading(found), images(found), outcomes(found, this.branches), concerns(found), this.requested);
    await this.ask();
  }

  update() {
    this.load().catch(() => {});
  }
}

function heading(found) {
  return [
    h("h1", {}, `${found.kind} of `, h("span", { class: "code" }, keyText(found.key))),
    h("dl", { class: "facts" },
      fact("Table", found.table), fact("Made", moment(found.created)), fact("Event id", code(found.event)),
      fact("Sequence number", code(found.sequence)), fact("Version", code(found.version || "none")),
      found.expired ? fact("Deleted by", "DynamoDB's TTL") : null),
    h("p", {}, h("a", { href: keyAddress(found.table, found.key) }, "The life of this key"), " ",
      action("Deliver it once more", async () => (await post("/try/duplicate", { event: found.event })).said)),
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

function outcomes(found, branches) {
  const names = [...branches, ...Object.keys(found.fates)].filter((name, at, all) => all.indexOf(name) === at);
  const cards = names.filter((name) => found.fates[name]).map((name) => [name, found.fates[name]]).map(([branch, fate]) =>
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

function requestTable(found) {
  if (!found.length) return h("p", { class: "quiet" }, "None is remembered.");
  const rows = found.map((each) =>
    h("tr", {},
      h("td", {}, each.function),
      h("th", { scope: "row", class: "operation" }, each.operation, each.region ? h("span", { class: "more" }, each.region) : null),
      h("td", {}, callList(each.calls), whole(each)),
      h("td", {}, answerOf(each)),
      h("td", { class: "number" }, `${each.milliseconds} ms`)),
  );
  return table("Requests", ["Function", "Request", "What it does", "Answer", "Time"], h("tbody", {}, rows), [4]);
}

function callList(calls) {
  if (!calls.length) return null;
  const rest = calls.length > MOST ? h("li", {}, `and ${calls.length - MOST} more`) : null;
  return h("ul", { class: "calls" }, calls.slice(0, MOST).map(call), rest);
}

function call(each) {
  const parts = [h("strong", {}, each.action), " ", h("span", { class: "code" }, each.table), " ", itemOf(each.item)];
  const condition = filled(each.condition, each);
  const update = filled(each.update, each);
  if (update) parts.push(h("div", {}, "sets ", h("code", {}, update)));
  if (condition) parts.push(h("div", {}, "on condition that ", h("code", {}, condition)));
  return h("li", {}, parts);
}

/** An expression with its names and values in their places. */
function filled(expression, { names, values }) {
  const shown = (value) => Object.values(value).map((each) => JSON.stringify(each)).join();
  return expression.replace(/[#:][A-Za-z0-9_]+/g, (word) =>
    word in names ? names[word] : word in values ? shown(values[word]) : word);
}

function itemOf(item) {
  const names = ["pk", "sk", "id"].filter((each) => each in item);
  const text = (names.length ? names : Object.keys(item).slice(0, 2))
    .map((each) => `${each}=${Object.values(item[each]).join()}`).join(", ");
  return h("span", { class: "code" }, text);
}

function answerOf(each) {
  const end = each.fault ? ` (${each.fault} on purpose)` : "";
  return each.error
    ? h("span", { class: `badge ${each.error.includes("ConditionalCheckFailed") ? "superseded" : "failed"}` }, `${each.status || "none"} ${each.error}${end}`)
    : h("span", { class: "badge applied" }, `${each.status}${end}`);
}

function whole(each) {
  return h("details", {}, h("summary", {}, "as it was sent and answered"),
    h("pre", { tabindex: "0" }, pretty(each.request)), h("pre", { tabindex: "0" }, pretty(each.answer)));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text || "nothing";
  }
}
