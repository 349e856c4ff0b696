// Makes elements. Whatever comes from an item is a text node or an attribute's value: never markup.

/** An element with attributes; a function is a listener of `on...`, false and undefined leave an attribute out. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined) element.setAttribute(key, String(value));
  }
  element.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined));
  return element;
}

/** Puts these in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((each) => each !== null && each !== undefined));
}

/** Keeps rows by name: those that are equal to before stay as they are, with the focus in them. */
export class Rows {
  constructor(body) {
    this.body = body;
    this.known = new Map();
  }

  show(entries, name, make) {
    const before = this.known;
    this.known = new Map();
    let at = this.body.firstChild;
    for (const entry of entries) {
      const state = JSON.stringify(entry);
      const old = before.get(name(entry));
      const row = old && old.state === state ? old.row : make(entry);
      this.known.set(name(entry), { state, row });
      if (row === at) at = at.nextSibling;
      else this.body.insertBefore(row, at);
    }
    const kept = new Set([...this.known.values()].map((each) => each.row));
    for (const row of [...this.body.children]) if (!kept.has(row)) row.remove();
  }
}

/** A time of day, from epoch seconds, with the whole moment as a title. */
export function moment(seconds) {
  if (!seconds) return h("span", {}, "unknown");
  const date = new Date(seconds * 1000);
  return h("time", { datetime: date.toISOString(), title: date.toISOString() }, date.toLocaleTimeString());
}

/** Seconds as a person says them. */
export function span(seconds) {
  if (seconds < 1) return "under 1 s";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** How many of something. */
export function many(count, one, more = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : more}`;
}

/** Long text with its middle left out, whole in its title. */
export function short(text, most = 28) {
  const shown = text.length <= most ? text : `${text.slice(0, most / 2 - 1)}…${text.slice(-(most / 2 - 1))}`;
  return h("span", { class: "code", title: text }, shown);
}

/** An outcome as a badge. */
export function badge(outcome, title = "") {
  const known = ["applied", "superseded", "ignored", "parked", "failed", "deferred"];
  const kind = known.includes(outcome.toLowerCase()) ? outcome.toLowerCase() : "none";
  return h("span", { class: `badge ${kind}`, title: title || false }, outcome.toLowerCase());
}

/** A table that scrolls by itself in a narrow window, and can be scrolled with the keyboard. */
export function table(label, headings, body, numbers = []) {
  const cells = headings.map((each, at) => h("th", { scope: "col", class: numbers.includes(at) ? "number" : false }, each));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, cells)), body),
  );
}

/** What went wrong, for a person. */
export function fault(error) {
  return h("p", { class: "fault", role: "alert" }, error.message || String(error));
}

/** A button that cannot be pressed again while it works; its fault is shown beside it. */
export function action(label, work, more = {}) {
  const said = h("span", { class: "said", role: "status" });
  const button = h("button", {
    type: "button",
    ...more,
    onclick: async () => {
      button.disabled = true;
      fill(said, "working");
      try {
        fill(said, (await work()) || "done");
      } catch (error) {
        fill(said, error.message);
        said.classList.add("wrong");
      } finally {
        button.disabled = false;
      }
    },
  }, label);
  return h("span", { class: "action" }, button, " ", said);
}
