// The first page: shards, branches as lanes, and the changes as they arrive.
import { get } from "./api.js";
import { badge, fault, fill, h, moment, Rows, short, span, table } from "./dom.js";
import { keyText } from "./values.js";

export const TITLE = "Stream";

const OUTCOMES = ["Applied", "Superseded", "Ignored", "Parked", "Failed", "Deferred"];

export async function show(root, _, summary) {
  const page = new Stream(root, summary);
  await page.load();
  return page;
}

class Stream {
  constructor(root, summary) {
    this.summary = summary;
    this.branches = summary.lanes.map((lane) => lane.branch);
    this.filter = { key: "", kind: "", entity: "", outcome: "", branch: "" };
    this.before = "";
    this.loading = false;
    this.again = false;
    this.shards = h("div");
    this.lanes = h("ul", { class: "lanes" });
    this.said = h("p", { class: "quiet" });
    this.body = h("tbody");
    this.rows = new Rows(this.body);
    this.newer = h("button", { type: "button", onclick: () => this.turn("") }, "Newest");
    this.older = h("button", { type: "button", onclick: () => this.turn(this.next) }, "Older");
    const headings = ["Time", "Kind", "Key", "Entity", ...this.branches];
    fill(
      root,
      h("h1", {}, `Stream of ${summary.tables.map((each) => each.name).join(", ")}`),
      h("section", { "aria-label": "Branches" }, h("h2", {}, "Branches"), this.lanes),
      h(
        "section",
        { "aria-label": "Changes" },
        h("h2", {}, "Changes"),
        this.form(),
        table("Changes", headings, this.body),
        this.said,
        h("p", {}, this.newer, " ", this.older),
      ),
      h("section", { "aria-label": "Shards" }, h("h2", {}, "Shards"), this.shards),
    );
    this.draw();
  }

  form() {
    const choice = (name, label, options) =>
      h("label", {}, label, h("select", { name }, h("option", { value: "" }, "any"),
        options.map((each) => h("option", { value: each }, each))));
    const form = h(
      "form",
      { class: "filters", "aria-label": "Filter", onsubmit: (event) => event.preventDefault() },
      h("label", {}, "Key contains", h("input", { name: "key", type: "search", autocomplete: "off" })),
      choice("kind", "Kind", ["INSERT", "MODIFY", "REMOVE"]),
      h("label", {}, "Entity", h("input", { name: "entity", type: "search", autocomplete: "off" })),
      choice("outcome", "Outcome", OUTCOMES),
      choice("branch", "In branch", this.branches),
    );
    form.addEventListener("input", () => {
      for (const name of Object.keys(this.filter)) this.filter[name] = form.elements[name].value.trim();
      this.turn("");
    });
    return form;
  }

  async turn(before) {
    this.before = before;
    await this.load();
  }

  update(summary) {
    this.summary = summary;
    this.draw();
    if (!this.before) this.load();
  }

  async load() {
    if (this.loading) {
      this.again = true;
      return;
    }
    this.loading = true;
    try {
      do {
        this.again = false;
        const found = await get("/changes", { ...this.filter, before: this.before });
        this.next = found.before;
        this.rows.show(found.changes, (each) => each.event, (each) => this.row(each));
        this.tell(found.changes.length);
      } while (this.again);
    } catch (error) {
      fill(this.said, fault(error));
    } finally {
      this.loading = false;
    }
  }

  tell(shown) {
    const { read, kept } = this.summary.history;
    const last = kept < read ? ` The last ${kept.toLocaleString()} are remembered.` : "";
    fill(this.said, `${shown} shown of ${read.toLocaleString()} changes that were read.${last}`);
    this.older.disabled = !this.next;
    this.newer.disabled = !this.before;
  }

  row(change) {
    return h(
      "tr",
      {},
      h("td", {}, moment(change.created)),
      h("td", {}, change.kind),
      h("td", {}, h("a", { class: "code", href: `#/record/${encodeURIComponent(change.event)}` }, keyText(change.key))),
      h("td", {}, change.entities.join(", ")),
      this.branches.map((name) => h("td", {}, cell(change.fates[name]))),
    );
  }

  draw() {
    fill(this.lanes, this.summary.lanes.map((lane) => laneOf(lane, this.summary.mappings)));
    fill(this.shards, shardTable(this.summary.shards));
  }
}

function cell(fate) {
  if (!fate) return h("span", { class: "absent" }, "not yet");
  if (!fate.outcome && fate.end === "filtered") return h("span", { class: "absent" }, "filtered");
  if (!fate.outcome && fate.end === "discarded") return badge("given up");
  if (!fate.outcome) return h("span", { class: "absent" }, fate.deliveries ? "running" : "waiting");
  const more = [];
  if (fate.deliveries > 1) more.push(`${fate.deliveries} deliveries`);
  if (fate.retries) more.push(`${fate.retries} retried`);
  if (fate.bisections) more.push(`${fate.bisections} bisected`);
  return [badge(fate.outcome, fate.cause), more.length ? h("span", { class: "more" }, more.join(", ")) : null];
}

function laneOf(lane, mappings) {
  const reader = mappings.find((each) => each.reader === lane.reader) || {};
  const counts = OUTCOMES.filter((name) => name !== "Deferred" || lane.outcomes[name]).map((name) =>
    h("div", { class: `count ${lane.outcomes[name] ? name.toLowerCase() : "zero"}` }, h("dt", {}, name.toLowerCase()),
      h("dd", {}, lane.outcomes[name].toLocaleString())),
  );
  const sum = lane.adds_up ? "adds up" : "a batch is under way";
  return h(
    "li",
    { class: "lane" },
    h("h3", {}, lane.branch),
    h("p", { class: "received" }, h("strong", {}, lane.received.toLocaleString()), " received, ", sum),
    h("dl", { class: "counts" }, counts),
    h("p", { class: "quiet" },
      `lag ${span(lane.lag)}, ${reader.retried || 0} retried, ${reader.bisected || 0} bisected, `,
      `${reader.discarded || 0} given up, ${reader.filtered || 0} filtered`),
    lane.fault ? h("p", { class: "fault" }, `cannot start: ${lane.fault}`) : null,
    lane.rebuild_due ? h("p", { class: "note" }, "a rebuild is due: its declarations have changed") : null,
  );
}

function shardTable(shards) {
  const rows = shards.flatMap((shard) =>
    shard.readers.map((reader) =>
      h(
        "tr",
        {},
        h("td", {}, short(shard.shard)),
        h("td", {}, reader.reader),
        h("td", {}, reader.checkpoint ? short(reader.checkpoint) : "at its beginning"),
        h("td", { class: "number" }, reader.outstanding.toLocaleString()),
        h("td", { class: "number" }, reader.outstanding ? span(reader.age) : "none"),
        h("td", {}, reader.finished ? "closed" : "open"),
      ),
    ),
  );
  const headings = ["Shard", "Reader", "Position", "Unread", "Age of the oldest unread", "State"];
  return table("Shards", headings, h("tbody", {}, rows), [3, 4]);
}
