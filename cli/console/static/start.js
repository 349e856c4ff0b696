// The first page at embedded services: tables, and functions that are attached to them from here.
import { post } from "./api.js";
import { action, fill, h } from "./dom.js";

export const TITLE = "Start";

export async function show(root, _, summary) {
  const page = new Start(root);
  page.update(summary);
  return page;
}

class Start {
  constructor(root) {
    this.tables = h("div");
    this.functions = h("div", { class: "filters" });
    this.attached = h("section", { "aria-label": "Attached" });
    const attach = action("Attach and open the console", () => this.attach());
    fill(root, h("h1", {}, "Attach functions to a table"), this.attached,
      h("form", { onsubmit: (event) => event.preventDefault() },
        h("fieldset", {}, h("legend", {}, "Tables"), this.tables),
        h("fieldset", {}, h("legend", {}, "Functions, with the declarations of this project"), this.functions),
        h("p", {}, attach)));
  }

  update(summary) {
    const { tables, functions, attach } = summary;
    this.draw("tables", this.tables, tables, () => this.listed(tables));
    this.draw("functions", this.functions, functions, () => functions.map((name) => tick("function", name, false)));
    this.draw("attached", this.attached, attach, () => this.state(attach));
    if (this.opening && attach.link) {
      this.opening = false;
      location.assign(attach.link);
    }
  }

  /** Draws again only what is different, and keeps what is ticked. */
  draw(name, element, state, make) {
    const text = JSON.stringify(state);
    if (this[`${name}Told`] === text) return;
    this[`${name}Told`] = text;
    const ticked = new Set([...element.querySelectorAll("input:checked")].map((each) => each.value));
    fill(element, make());
    for (const each of element.querySelectorAll("input")) each.checked = ticked.has(each.value);
  }

  listed(tables) {
    if (!tables.length) return h("p", { class: "note" }, "There is no table yet. Create yours: it appears here.");
    return h("ul", { class: "ticks" }, tables.map((each) =>
      h("li", {}, tick("table", each.name, each.why_not !== ""),
        each.why_not ? h("p", { class: "quiet" }, each.why_not) : null)));
  }

  state(attach) {
    const said = attach.said && attach.said.length
      ? h("details", {}, h("summary", {}, "What attach printed"), h("pre", { tabindex: "0" }, attach.said.join("\n"))) : null;
    if (attach.state === "none") return null;
    const what = `${attach.functions.join(", ")} on ${attach.tables.join(", ")}`;
    if (attach.state === "ended") {
      const last = attach.said.slice(-1)[0] || "";
      return [h("p", { class: "note", role: "status" }, `Ended: ${what}. ${last}`), said];
    }
    const end = action("End it", async () => {
      await post("/end", {});
      return "ended";
    });
    const link = attach.link ? h("a", { href: attach.link }, "Open its console") : "The functions are built and started.";
    return [h("p", { role: "status" }, `Attached: ${what}. `, link), h("p", {}, end), said];
  }

  async attach() {
    const chosen = (element) => [...element.querySelectorAll("input:checked")].map((each) => each.value);
    await post("/attach", { tables: chosen(this.tables), functions: chosen(this.functions) });
    this.opening = true;
    return "starting";
  }
}

function tick(name, value, disabled) {
  return h("label", { class: "tick" }, h("input", { type: "checkbox", name, value, disabled }), value);
}
