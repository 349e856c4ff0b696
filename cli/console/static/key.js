// A key: its life, what each branch holds and should hold, what is parked, and its messages.
import { get, post } from "./api.js";
import { action, badge, fault, fill, h, many, moment, table } from "./dom.js";
import { attributes, keyAddress, keyText } from "./values.js";

export const TITLE = "Key";
const PAUSE = 1500;
const RECONCILED = ["derive", "index", "replicate"];

export async function show(root, [name, key], summary) {
  if (!name) {
    fill(root, h("h1", {}, "A key"), choose(summary));
    return null;
  }
  const page = new Key(root, name, key, summary);
  await page.load();
  return page;
}

/** A form with a field for each key attribute. */
function choose(summary) {
  const forms = summary.tables.map((each) => {
    const fields = each.keys.map((name) =>
      h("label", {}, `${name} (${each.types[name]})`, h("input", { name, required: true, autocomplete: "off" })));
    const submit = (event) => {
      event.preventDefault();
      const elements = event.target.elements;
      const keys = Object.fromEntries(each.keys.map((name) => [name, { [each.types[name]]: elements[name].value }]));
      location.hash = keyAddress(each.name, JSON.stringify(keys));
    };
    return h("form", { class: "filters", "aria-label": `Key of ${each.name}`, onsubmit: submit },
      h("h2", { class: "whole" }, each.name), fields, h("button", {}, "Show"));
  });
  return [h("p", { class: "quiet" }, "Name the whole key of an item, or click a key on another page."), forms];
}

class Key {
  constructor(root, name, key, summary) {
    this.query = { table: name, key };
    this.branches = summary.branches;
    this.kind = summary.kind;
    this.acts = summary.acts;
    this.text = "";
    this.next = 0;
    this.held = h("div");
    this.found = h("div");
    fill(
      root,
      h("h1", {}, "Key ", h("span", { class: "code" }, keyText(key)), ` of ${name}`),
      this.found,
      h("section", { "aria-label": "Branches" },
        h("h2", {}, "What each branch holds, and what it should hold"),
        h("p", {}, action("Look again", () => this.look())),
        this.held),
      h("section", { "aria-label": "Life", id: "life" }),
    );
    this.life = root.querySelector("#life");
  }

  async load() {
    const found = await get("/key", this.query);
    const text = JSON.stringify(found);
    if (text === this.text) return;
    this.text = text;
    fill(this.found, itemNow(found, this.kind), parkedOf(found, this), messages(found));
    fill(this.life, h("h2", {}, "Its life"),
      this.kind === "stack" ? traceLink(this.query.key) : lifeTable(found, this.branches));
    await this.look().catch((error) => fill(this.held, fault(error)));
  }

  update() {
    if (Date.now() < this.next) return;
    this.next = Date.now() + PAUSE;
    this.load().catch(() => {});
  }

  async look() {
    const found = await get("/kept", this.query);
    fill(this.held, h("ul", { class: "holdings" }, found.kept.map((each) => this.holding(each))));
    return "as of now";
  }

  holding(each) {
    const kind = { right: "applied", differs: "failed", rejected: "parked" }[each.state];
    const words = { right: each.held.length ? "as it should be" : "nothing, as it should be", differs: "differs", rejected: "cannot take the item" }[each.state];
    const title = each.name.startsWith(`${each.branch} `) ? each.name : `${each.branch}: ${each.name}`;
    return h("li", { class: "lane" },
      h("h3", {}, `${title} `, h("span", { class: `badge ${kind}` }, words)),
      each.problems.length ? h("ul", { class: "why" }, each.problems.map((problem) => h("li", {}, problem))) : null,
      h("div", { class: "sides" }, each.held.length || each.state !== "right" ? side("Holds", each.held) : null,
        each.state === "right" ? null : side("Should hold", each.due)),
      this.acts && each.state === "differs" && RECONCILED.includes(each.branch) ? this.reconcile(each.branch) : null);
  }

  reconcile(branch) {
    return action(`Reconcile in ${branch}`, async () => {
      const end = await post("/reconcile", { branch, table: this.query.table, key: JSON.parse(this.query.key) });
      this.look().catch(() => {});
      return [end.status, end.cause].filter(Boolean).join(": ").toLowerCase();
    });
  }
}

function side(label, entries) {
  const shown = entries.map((each) =>
    h("div", {}, h("p", { class: "code place" }, each.place), attributes(`${label} ${each.place}`, each.content)));
  return h("div", { class: "side" }, h("h4", {}, label), shown.length ? shown : h("p", { class: "absent" }, "nothing"));
}

function traceLink(key) {
  return h("p", {}, h("a", { href: `#/trace/${encodeURIComponent(key)}` }, "Trace its changes"));
}

function itemNow(found, kind) {
  const keys = JSON.stringify(found.keys);
  const edit = `#/try/${encodeURIComponent(found.table)}/${encodeURIComponent(keys)}`;
  return h("section", { "aria-label": "The item now" }, h("h2", {}, "The item now"),
    kind === "attached" ? h("p", {}, h("a", { href: edit }, found.item ? "Edit or delete it" : "Write it")) : null,
    found.item ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The item" },
      attributes("The item", found.item)) : h("p", {}, "There is no such item."));
}

function parkedOf(found, page) {
  const entries = found.parked.map((each) =>
    h("li", { class: "lane" }, h("h3", {}, each.branch), h("p", { class: "cause" }, each.cause),
      each.detail ? h("p", { class: "quiet" }, each.detail) : null,
      h("p", { class: "quiet" }, "parked ", moment(each.when))));
  return h("section", { "aria-label": "Parked" }, h("h2", {}, "Parked"),
    entries.length ? [h("ul", { class: "lanes" }, entries), page.acts ? h("p", {}, redriveOf(page)) : null,
      page.acts ? forgetOf(found, page) : null]
      : h("p", { class: "quiet" }, "Nothing is parked."));
}

function redriveOf(page) {
  return action("Redrive this key", async () => {
    await post("/redrive", { key: page.query.key });
    const end = await settled();
    page.text = "";
    page.load().catch(() => {});
    return end;
  });
}

function forgetOf(found, page) {
  const seen = found.parked.map((each) => [each.object, each.when]);
  const forget = action("Forget what is parked", async () => {
    const end = await post("/forget", { key: page.query.key, seen });
    page.load().catch(() => {});
    return end.said;
  });
  return h("details", {}, h("summary", {}, "Forget it instead"),
    h("p", { class: "note" }, "No branch gets a change that is forgotten. Redrive it, unless you know that it is not needed."), forget);
}

/** Waits for the redrive that runs, and says what it did. */
export async function settled(told = () => {}) {
  for (;;) {
    const state = await get("/redrive");
    if (state.error) throw new Error(state.error);
    if (!state.running) {
      const left = state.left.map((each) => `${each.changes} left in ${each.branch}: ${each.cause}`);
      return [`${state.done} redriven`, ...left].join("; ");
    }
    told(`${state.dealt} dealt with`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

function messages(found) {
  const entries = found.messages.map((each) =>
    h("li", { class: "lane" }, h("h3", {}, `rule ${each.rule}`), h("p", {}, badge(each.state)),
      each.mail ? [h("pre", { tabindex: "0" }, each.mail.text),
        each.mail.frame ? h("iframe", { src: each.mail.frame, sandbox: "", title: `Mail of rule ${each.rule}` }) : null]
        : null));
  return entries.length
    ? h("section", { "aria-label": "Messages" }, h("h2", {}, "Messages"), h("ul", { class: "lanes wide" }, entries))
    : null;
}

function lifeTable(found, branches) {
  const rows = found.changes.map((change) =>
    h("tr", {}, h("td", {}, moment(change.created)),
      h("td", {}, h("a", { href: `#/record/${encodeURIComponent(change.event)}` }, change.kind)),
      branches.map((name) => {
        const fate = change.fates[name];
        return h("td", {}, fate && fate.outcome ? badge(fate.outcome, fate.cause)
          : h("span", { class: "absent" }, (fate && fate.end) || "not yet"));
      })));
  const more = found.more ? " Older ones are not shown." : "";
  return [table("Changes of this key", ["Time", "Change", ...branches], h("tbody", {}, rows)),
    h("p", { class: "quiet" }, `${many(found.changes.length, "change")} remembered.${more}`)];
}
