// A deployed stack: what `distributary status` shows, branch by branch.
import { get } from "./api.js";
import { action, fill, h, moment, Rows, table } from "./dom.js";

export const TITLE = "Stack";
const PAUSE = 30000;
const OUTCOMES = ["Applied", "Superseded", "Ignored", "Parked", "Failed", "Deferred"];
const BADGES = { ok: "applied", note: "superseded", fault: "failed", unknown: "parked" };

export async function show(root, _, summary) {
  const page = new Stack(root, summary);
  await page.load();
  page.later(root);
  return null;
}

class Stack {
  constructor(root, summary) {
    this.branches = summary.branches;
    this.said = h("p", { class: "quiet", role: "status" });
    this.lanes = h("ul", { class: "lanes" });
    const body = h("tbody");
    this.rows = new Rows(body);
    fill(root, h("h1", {}, `Stack ${summary.name}`),
      h("p", {}, action("Look again", () => this.load())), this.said,
      h("section", { "aria-label": "Branches" }, h("h2", {}, "Branches, in the last hour"), this.lanes),
      h("section", { "aria-label": "State" }, h("h2", {}, "State"),
        table("State", ["Part", "State", "Found", "What to do"], body)));
  }

  async load() {
    const { at, rows } = await get("/status");
    const wrong = rows.filter((each) => each.level === "fault" || each.level === "unknown").length;
    fill(this.said, wrong ? `${wrong} of ${rows.length} need attention, as of ` : "All is well, as of ", moment(at));
    const of = (section, branch) => rows.find((each) => each.check === `${section} ${branch}`);
    fill(this.lanes, this.branches.map((name) => laneOf(name, of("outcomes", name), of("lag", name), of("mappings", name))));
    const numbered = rows.map((each, at) => ({ ...each, at }));
    this.rows.show(numbered, (each) => each.at, rowOf);
    return "as of now";
  }

  /** Looks again while the page is open. */
  later(root) {
    setTimeout(() => {
      if (!root.isConnected) return;
      this.load().catch(() => {});
      this.later(root);
    }, PAUSE);
  }
}

function laneOf(name, outcomes, lag, mapping) {
  const values = (outcomes && outcomes.values) || {};
  const counts = OUTCOMES.map((each) =>
    h("div", { class: `count ${values[each] ? each.toLowerCase() : "zero"}` }, h("dt", {}, each.toLowerCase()),
      h("dd", {}, (values[each] || 0).toLocaleString())));
  const sum = OUTCOMES.reduce((total, each) => total + (values[each] || 0), 0);
  const adds = sum === values.Received ? "adds up" : "its metrics still arrive";
  const known = outcomes && "Received" in values;
  return h("li", { class: "lane" }, h("h3", {}, name),
    known ? [h("p", { class: "received" }, h("strong", {}, values.Received.toLocaleString()), " received, ", adds),
      h("dl", { class: "counts" }, counts)] : h("p", { class: "fault" }, outcomes ? outcomes.found : "not known"),
    lag ? h("p", { class: "quiet" }, lag.found) : null,
    mapping ? h("p", { class: "quiet" }, mapping.found) : null);
}

function rowOf(row) {
  return h("tr", {}, h("th", { scope: "row" }, row.check),
    h("td", {}, h("span", { class: `badge ${BADGES[row.level] || "none"}` }, row.level)),
    h("td", {}, row.found), h("td", {}, row.fix));
}
