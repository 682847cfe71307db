/** The page of a job or of a run: Start, Stop, Clear, and the run that is shown. */
import { connect } from "./connection.js";
import { LIVE } from "./contract.js";
import { element, elementIfAny, elementOf, say } from "./dom.js";
import { JobForm } from "./form.js";
import { prepareDownloads } from "./menu.js";
import { Part } from "./part.js";
import { Reader, SILENCE } from "./reader.js";
import { SCROLLBACK_LINES, Screen } from "./screen.js";
import { Search } from "./search.js";
import { RunState } from "./state.js";
import { watchStorage } from "./storage.js";
import { localise } from "./times.js";

const REST_MILLISECONDS = 1000;
const ANSWER_MILLISECONDS = 10_000;
// Of a longer output the last lines are shown, as many as the terminal holds.
const WHOLE_BYTES = 262_144;
// Narrower than this (as in console.css), the terminal stands below the form.
const ONE_COLUMN = 960;

/** @typedef {import("./contract.js").Run} Run */
/** @typedef {import("./contract.js").Answer} Answer */

/** @type {import("./contract.js").PageData} */
const data = JSON.parse(element("data").textContent ?? "");
const log = element("log");
const start = elementIfAny("start", HTMLButtonElement);
const stop = elementOf("stop", HTMLButtonElement);
const wrong = element("form-error");
const jobForm = elementIfAny("job-form", HTMLFormElement);
const form = jobForm && new JobForm(jobForm, wrong);

const screen = new Screen(log, { moved: () => part.moved(), find: () => search.open() });
const part = new Part(screen, () => {
  if (shown) open(shown);
  reader?.watch();
});
const search = new Search(
  (message) => ask("search", { run: reader?.run ?? "", ...message }),
  (match) => (match ? void part.show(match) : screen.lines.unmark()),
);
const downloads = prepareDownloads();

const state = new RunState(data.now);
state.links.run = data.links.run;
const socket = connect(data.links.socket, () => toLogin("You have been logged out. Runs that have started go on."));

watchStorage(socket);

/** @type {Reader | null} */
let reader = null;
/** @type {Run | null} the run in the terminal, as it was last heard of */
let shown = null;
let starting = false;
/** For a moment after a Start the button rests: a double click means one run. */
let resting = false;
/** @type {{key: string, params: string} | null} what was asked for and not answered: asked again, it is one run */
let asked = null;
/** @type {((reader: Reader) => void)[]} what came for the new run before its id did */
let early = [];

/**
 * @param {string} text
 * @param {string} [link]
 * @param {string} [label]
 */
function banner(text, link, label) {
  say(element("banner-text"), text);
  const anchor = elementOf("banner-link", HTMLAnchorElement);
  anchor.hidden = !link;
  if (link) anchor.href = link;
  anchor.textContent = label ?? "";
  element("banner").hidden = !text;
}

/** @param {string} text */
function toLogin(text) {
  const next = encodeURIComponent(location.pathname + location.search);
  banner(text, `${data.links.login}?next=${next}`, "Log in again");
}

/**
 * @param {import("./contract.js").Fault} fault
 * @param {string} [silence] what to say where the server did not answer
 */
function complain(fault, silence) {
  if (fault.code === "login_required" || fault.code === "login_again") toLogin(fault.message);
  else say(wrong, (fault === SILENCE && silence) || fault.message);
}

/** @param {Run} run */
function show(run) {
  shown = run;
  state.show(run);
  log.dataset.status = run.status;
  const live = LIVE.has(run.status);
  stop.disabled = !live || run.status === "stopping";
  offerStart(live);
}

/**
 * A second run beside one under way is possible, but not by a double click.
 * @param {boolean} live
 */
function offerStart(live) {
  const word = start?.querySelector(".word");
  if (!start || !word) return;
  start.disabled = false;
  // Not disabled, which would take the focus from whoever starts by the keyboard.
  start.setAttribute("aria-disabled", String(starting || resting));
  word.textContent = live ? "Start another" : "Start";
}

/**
 * Show a run in the terminal, from its beginning or, where that is too long, its last lines.
 * @param {Run} run
 */
function open(run) {
  if (reader?.run !== run.id) search.reset();
  const end = Math.max(run.position, reader?.run === run.id ? reader.rendered : 0);
  reader?.close();
  shown = run;
  log.dataset.status = "";
  const address = data.links.output.replace("RUN", run.id);
  downloads(address);
  reader = new Reader(socket, run.id, screen, {
    moved: (position) => (log.dataset.position = String(position)),
    status: show,
    failed: (fault) => banner(fault?.message ?? ""),
  }, end > WHOLE_BYTES ? { tail: SCROLLBACK_LINES } : { after: 0 });
  part.live(reader, address);
}

/** A number that is used once; randomUUID is missing where the page comes by plain HTTP. */
function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} event
 * @param {object} message
 * @returns {Promise<any>} the server's answer to this event, or a refusal
 */
async function ask(event, message) {
  try {
    return await socket.timeout(ANSWER_MILLISECONDS).emitWithAck(event, message);
  } catch {
    return { ok: false, error: SILENCE };
  }
}

async function startRun() {
  const params = form?.read();
  if (!start || !form || !params || starting || resting) return;
  const text = JSON.stringify(params);
  asked = asked?.params === text ? asked : { key: freshKey(), params: text };
  starting = true;
  start.setAttribute("aria-disabled", "true");
  const answer = await ask("start_request", { job: data.job, params, key: asked.key, ack: true });
  starting = false;
  resting = answer.ok;
  start.setAttribute("aria-disabled", String(resting));
  if (resting) {
    window.setTimeout(() => {
      resting = false;
      start.setAttribute("aria-disabled", String(starting));
    }, REST_MILLISECONDS);
  }
  const came = early;
  early = [];
  if (!answer.ok) {
    if (answer.error.code !== SILENCE.code) asked = null;
    if (answer.error.fields) form.complain(answer.error.fields);
    else complain(answer.error, "The server did not answer. Press Start again: it will be one run.");
    return;
  }
  asked = null;
  open(answer.run);
  history.replaceState(null, "", `${data.links.job}?run=${encodeURIComponent(answer.run.id)}`);
  show(answer.run);
  if (window.innerWidth < ONE_COLUMN) log.closest("section")?.scrollIntoView({ block: "nearest" });
  if (reader) for (const each of came) each(reader);
}

async function stopRun() {
  if (!reader) return;
  stop.disabled = true;
  const answer = await ask("stop_request", { run: reader.run });
  if (answer.ok) reader.status(answer.run);
  else {
    stop.disabled = false;
    complain(answer.error, "The server did not answer. Please press Stop again.");
  }
}

/** Screen readers are told of new output where the viewer wants it, which this browser remembers. */
function prepareSpeech() {
  const button = element("speak");
  const speak = (/** @type {boolean} */ on) => {
    screen.speak(on);
    button.setAttribute("aria-pressed", String(on));
    localStorage.setItem("speak", String(on));
  };
  button.addEventListener("click", () => speak(button.getAttribute("aria-pressed") !== "true"));
  speak(localStorage.getItem("speak") === "true");
}

/**
 * @param {string} run
 * @param {(reader: Reader) => void} deliver
 */
function toReader(run, deliver) {
  if (reader?.run === run) deliver(reader);
  else if (starting) early.push((fresh) => fresh.run === run && deliver(fresh));
}

socket.on("connect", () => reader?.watch());
socket.on("disconnect", () => reader?.interrupted());
socket.on("output", (piece) => toReader(piece.run, (each) => each.take(piece)));
socket.on("behind", (/** @type {{run: string, position: number}} */ { run, position }) => {
  // A flood is faster than a terminal: who follows it wants to see what is printed now.
  if (!shown || reader?.run !== run || !reader.isFar(position) || !screen.live || !screen.following) return;
  open({ ...shown, position });
  reader.watch();
});
socket.on("status", (/** @type {{run: Run}} */ { run }) => toReader(run.id, (each) => each.status(run)));
jobForm?.addEventListener("submit", (event) => {
  event.preventDefault();
  void startRun();
});
stop.addEventListener("click", () => void stopRun());
element("clear").addEventListener("click", () => screen.reset());
prepareSpeech();
localise();
if (data.run) {
  open(data.run);
  state.show(data.run);
}
offerStart(data.run !== null && LIVE.has(data.run.status));
