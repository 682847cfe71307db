/** What the header of every page says of the system, as the server pushes it. */
import { element, elementIfAny, elementOf } from "./dom.js";
import { closeAsMenusDo } from "./menu.js";
import { open } from "./socket.js";
import { showStorage } from "./storage.js";
import { summary, table } from "./systemwords.js";
import { clock } from "./times.js";

// A page that nobody looks at needs no news, and no connection for them alone.
const UNSEEN_MILLISECONDS = 60_000;
const LOOK_MILLISECONDS = 5_000;
// More than one heartbeat may be late on a server with very many pages.
const LATE_HEARTBEATS = 3;

const place = elementOf("system", HTMLDetailsElement);
const text = element("system-text");
const more = element("system-more");
// Pages with a run have these two from the run's own socket.
const alone = !elementIfAny("log", HTMLElement);
const socket = open(place.dataset.path ?? "", "/status");
/** @type {import("./contract.js").System | null} */
let system = null;
let heard = Date.now();
/** @type {Date | null} */
let lost = null;

/**
 * @param {string} state "well", "trouble" or "unknown"
 * @param {string} words
 */
function say(state, words) {
  if (text.textContent !== words) text.textContent = words;
  place.dataset.state = state;
  place.hidden = false;
  // Said aloud where it is trouble, and where that is over.
  const trouble = element("system-trouble");
  const aloud = state === "trouble" ? words : trouble.textContent ? "All is well again." : "";
  if (alone && trouble.textContent !== aloud) trouble.textContent = aloud;
}

function show() {
  if (!system) return;
  const { storage } = system;
  if (alone) showStorage(storage);
  const away = !storage.available && `Storage unavailable since ${clock(new Date((storage.since ?? system.time) * 1000))}`;
  say(away ? "trouble" : "well", away || summary(system.numbers));
  const rows = table(system).map(([name, value]) => {
    const row = document.createElement("div");
    row.append(part("dt", name), part("dd", value));
    return row;
  });
  more.replaceChildren(...rows);
}

/**
 * @param {string} kind
 * @param {string} words
 */
function part(kind, words) {
  const made = document.createElement(kind);
  made.textContent = words;
  return made;
}

/** @param {string} [instead] what else is the matter */
function disconnected(instead) {
  lost ??= new Date();
  say("trouble", instead ?? `Not connected since ${clock(lost)}`);
}

function checkNews() {
  if (!socket.connected || !system) return;
  const late = Date.now() - heard > system.heartbeat * 1000 * LATE_HEARTBEATS;
  if (late) say("trouble", `No news since ${clock(new Date(heard))}`);
}

socket.on("state", (/** @type {import("./contract.js").System} */ news) => {
  system = news;
  heard = Date.now();
  show();
});
socket.on("connect", () => {
  lost = null;
  heard = Date.now();
  show();
});
socket.on("disconnect", (reason) => {
  if (reason !== "io client disconnect") disconnected();
});
socket.on("connect_error", (error) => {
  const { data } = /** @type {import("./socket.js").Refused} */ (error);
  if (error.message === "login_required") return say("trouble", "Logged out");
  if (error.message === "too_many") return disconnected("Too many pages are open");
  if (error.message !== "store_unavailable" || !data) return disconnected();
  const storage = { available: false, since: data.since ?? null, reason: data.reason ?? "" };
  if (alone) showStorage(storage);
  disconnected(`Storage unavailable since ${clock(new Date(storage.since ? storage.since * 1000 : Date.now()))}`);
});

let unseen = 0;
document.addEventListener("visibilitychange", () => {
  window.clearTimeout(unseen);
  if (document.hidden) unseen = window.setTimeout(() => socket.disconnect(), UNSEEN_MILLISECONDS);
  else if (socket.disconnected) socket.connect();
});
window.setInterval(checkNews, LOOK_MILLISECONDS);
closeAsMenusDo(place);
