/** The page that reads the stream as a user of the published Oboe.js does: it subscribes, then gets one object after the other. */
import { element, say } from "./dom.js";

const MOST_OBJECTS = 100;

/**
 * @typedef {object} Reader
 * @property {(take: (found: Record<string, unknown>) => void) => Reader} done
 * @property {(take: (reason: {statusCode?: number, jsonBody?: {detail?: string}, thrown?: Error}) => void) => Reader} fail
 */

/** @type {{names: string[], links: {subscribe: string, stream: string}}} */
const data = JSON.parse(element("data").textContent ?? "");
// It is a plain script: what it gives is a name of the window's.
const { oboe } = /** @type {{oboe?: (address: string) => Reader}} */ (/** @type {unknown} */ (window));

async function read() {
  if (!oboe) return say(element("problem"), "Oboe.js is not installed on this server: run `python scripts/vendor.py`.");
  if (!data.names.length) return;
  const answer = await fetch(data.links.subscribe, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ Stream: data.names }),
  });
  if (!answer.ok) return say(element("problem"), (await answer.json()).detail);
  say(element("connection"), "Reading");
  oboe(data.links.stream).done(show).fail(({ statusCode, jsonBody, thrown }) => {
    say(element("connection"), "");
    say(element("problem"), jsonBody?.detail ?? `The stream has ended (${thrown?.message ?? statusCode ?? "cut off"}). Reload the page.`);
  });
}

/** @param {Record<string, unknown>} found */
function show(found) {
  const row = document.createElement("li");
  row.textContent = JSON.stringify(found);
  const list = element("objects");
  list.prepend(row);
  while (list.children.length > MOST_OBJECTS) list.lastElementChild?.remove();
}

void read();
