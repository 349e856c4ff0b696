// One change, or one item, through every branch of a deployed stack.
import { get } from "./api.js";
import { fault, fill, h, many, table } from "./dom.js";

export const TITLE = "Trace";

export async function show(root, [what]) {
  const said = h("p", { class: "quiet", role: "status" });
  const found = h("div");
  const box = h("input", { name: "what", autocomplete: "off", required: true, value: what || "" });
  const hours = h("input", { name: "hours", type: "number", min: "1", max: "9600", value: "24" });
  const look = async (event) => {
    if (event) event.preventDefault();
    fill(said, "looking");
    try {
      const { steps, unread } = await get("/trace", { what: box.value.trim(), hours: hours.value });
      fill(said, `${many(steps.length, "step")} found.`);
      fill(found, unread.map((each) => h("p", { class: "note" }, `${each.check}: ${each.found}`)), stepsTable(steps));
    } catch (error) {
      fill(said, fault(error));
      fill(found);
    }
  };
  fill(root, h("h1", {}, "Trace a change or an item"),
    h("form", { class: "filters", "aria-label": "Trace", onsubmit: look },
      h("label", {}, "Event id, or whole key as DynamoDB JSON", box), h("label", {}, "Hours back", hours),
      h("button", {}, "Trace")),
    h("p", { class: "quiet" }, "It reads the archive, what is parked, conflicts, claims and logs."), said, found);
  if (what) await look();
  return null;
}

function stepsTable(steps) {
  if (!steps.length) return null;
  const rows = steps.map((each) =>
    h("tr", {}, h("td", {}, h("time", { datetime: each.time }, each.time.slice(0, 19).replace("T", " "))),
      h("td", {}, each.where), h("td", {}, each.what), h("td", {}, each.said), h("td", { class: "code" }, each.event),
      h("td", { class: "code" }, each.found_in)));
  return table("Steps", ["Time (UTC)", "Where", "What", "Said", "Event", "Found in"], h("tbody", {}, rows));
}
