// Asks the console's server. The token comes with the printed link, behind its #, so it is in no request's address.

const PLACE = "distributary-console-token";

/** Takes the token out of the address, and keeps it for this tab. */
export function takeToken() {
  const found = /^#token=([\w-]+)$/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(PLACE, found[1]);
  history.replaceState(null, "", `${location.pathname}#/stream`);
}

async function asked(path, options = {}) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(PLACE) || ""}`, ...options.headers };
  const answer = await fetch(`api${path}`, { ...options, headers, cache: "no-store" });
  if (answer.ok) return answer;
  let why = `the console answered ${answer.status}`;
  try {
    why = (await answer.json()).error || why;
  } catch {
    // It was no JSON: the status has to do.
  }
  throw new Error(why);
}

/** Data of a page. */
export async function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const text = new URLSearchParams(given).toString();
  return (await asked(text ? `${path}?${text}` : path)).json();
}

/** Has something done. */
export async function post(path, body) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return (await asked(path, options)).json();
}

/** Calls `told` with each summary that the server sends, and `state` with how the connection is; for ever. */
export async function listen(told, state) {
  for (;;) {
    try {
      const answer = await asked("/events");
      state("live");
      await read(answer.body.getReader(), told);
      state("the console has ended");
    } catch (error) {
      state(error instanceof TypeError ? "not connected: has the command ended?" : error.message);
    }
    await new Promise((done) => setTimeout(done, 2000));
  }
}

async function read(reader, told) {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) if (event.startsWith("data: ")) told(JSON.parse(event.slice(6)));
  }
}
