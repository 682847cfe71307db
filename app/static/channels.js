/** The page of channels: picked from a list, shown live as numbers and small charts. */
import { Chart, MINUTES } from "./chart.js";
import { element, elementOf, say } from "./dom.js";

const LIST_MILLISECONDS = 10_000;
const DRAW_MILLISECONDS = 1_000;
const TELL_MILLISECONDS = 5_000;
const RETRY_MILLISECONDS = 3_000;
const TOO_LONG = 414;

/**
 * @typedef {object} Data
 * @property {number} now the server's clock, in seconds since the epoch
 * @property {number} most how many channels a stream may have
 * @property {{channels: string, events: string}} links
 */
/** @typedef {{channel: string, value?: unknown, sequence: number, time: number}} Change */

/** @type {Data} */
const data = JSON.parse(element("data").textContent ?? "");
const ahead = Date.now() - data.now * 1000;
const choices = element("choices");
const filter = elementOf("filter", HTMLInputElement);
const cards = element("cards");
/** @type {Map<string, Card>} */
const shown = new Map();
/** @type {EventSource | null} */
let source = null;
let retry = 0;
let missed = 0;

/** One channel: its value, and its chart. */
class Card {
  #value;
  #range;
  #chart;
  #told = 0;
  // What came before this page looked is added once.
  #knows = false;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
    const template = elementOf("card", HTMLTemplateElement);
    this.item = /** @type {HTMLElement} */ (template.content.cloneNode(true)).querySelector("li") ?? document.createElement("li");
    this.item.dataset.channel = name;
    const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (this.item.querySelector(selector));
    part("h3").textContent = name;
    this.#value = part(".value");
    this.#range = part(".range");
    this.#chart = new Chart(/** @type {SVGElement} */ (this.item.querySelector("svg")));
  }

  /**
   * @param {unknown} value undefined: there is no such channel
   * @param {number} time
   */
  set(value, time) {
    const text = value === undefined ? "deleted" : typeof value === "string" ? value : JSON.stringify(value);
    this.#value.textContent = text;
    this.#value.classList.toggle("long", text.length > 12);
    this.#knows = true;
    this.#chart.add(time, typeof value === "number" ? value : null);
  }

  /**
   * Before what is known from this page's own time.
   * @param {unknown} value
   * @param {number} time
   */
  past(value, time) {
    if (!this.#knows) this.#chart.add(time, typeof value === "number" ? value : null);
  }

  /** From here to what comes next nothing is known. */
  cut() {
    this.#chart.add(Date.now(), null);
  }

  /** @param {number} now */
  draw(now) {
    const range = this.#chart.draw(now);
    const svg = this.#chart.svg;
    svg.toggleAttribute("hidden", !range);
    const text = range ? `${range.low} to ${range.high} in ${MINUTES} minutes` : "";
    if (this.#range.textContent !== text) this.#range.textContent = text;
    if (now - this.#told < TELL_MILLISECONDS) return;
    this.#told = now;
    svg.setAttribute("aria-label", `${this.name}: ${text}, now ${this.#value.textContent}`);
  }
}

/** @returns {HTMLInputElement[]} */
function boxes() {
  return [...choices.querySelectorAll("input")];
}

/** @returns {string[]} */
function picked() {
  return boxes().filter((box) => box.checked).map((box) => box.value);
}

/** @param {string[]} names */
function question(names) {
  return new URLSearchParams(names.map((name) => ["channel", name])).toString();
}

function choose() {
  const names = picked();
  for (const box of boxes()) box.disabled = !box.checked && names.length >= data.most;
  history.replaceState(null, "", names.length ? `?${question(names)}` : location.pathname);
  say(element("picked"), names.length ? `${names.length} picked` : "");
  elementOf("oboe", HTMLAnchorElement).search = question(names);
  element("nothing").hidden = names.length > 0 || !boxes().length;
  for (const [name, card] of shown) {
    if (names.includes(name)) continue;
    card.item.remove();
    shown.delete(name);
  }
  for (const name of names) {
    const card = shown.get(name) ?? new Card(name);
    shown.set(name, card);
    cards.append(card.item);
  }
  listen(names);
}

/** @param {string[]} names */
function listen(names) {
  window.clearTimeout(retry);
  source?.close();
  source = null;
  missed = 0;
  say(element("missed"), "");
  say(element("problem"), "");
  tell(names.length ? "connecting" : "none", names.length ? "Connecting" : "");
  if (!names.length) return;
  const opened = new EventSource(`${data.links.events}?${question(names)}&past=${MINUTES * 60}`);
  source = opened;
  opened.addEventListener("open", () => tell("connected", "Live"));
  opened.addEventListener("error", () => {
    if (opened.readyState === EventSource.CLOSED) void explain(opened, names);
    else tell("lost", "Reconnecting");
  });
  /** @param {string} type @param {(event: any) => void} take */
  const on = (type, take) => opened.addEventListener(type, (event) => take(JSON.parse(event.data)));
  on("snapshot", ({ values }) => {
    for (const [name, value] of Object.entries(values)) shown.get(name)?.set(value, Date.now());
    draw();
  });
  on("past", ({ channel, value, time }) => shown.get(channel)?.past(value, time * 1000 + ahead));
  on("change", (/** @type {Change} */ change) => take(change));
  on("deleted", (/** @type {Change} */ change) => take(change));
  on("missed", ({ changes }) => {
    missed += changes ?? 0;
    for (const card of shown.values()) card.cut();
    say(element("missed"), missed ? `${missed} changes came too fast for this page and are not shown.` : "Some changes are not shown.");
  });
}

/** @param {Change} change */
function take({ channel, value, time }) {
  shown.get(channel)?.set(value, Math.min(Date.now(), time * 1000 + ahead));
}

/**
 * The browser does not tell why it was refused: ask again, and tell.
 * @param {EventSource} refused
 * @param {string[]} names
 */
async function explain(refused, names) {
  tell("lost", "Not connected");
  let text = "The server cannot be reached.";
  try {
    const answer = await fetch(`${data.links.events}?${question(names)}&follow=false`);
    if (answer.status === TOO_LONG) text = "These are too many names for one address. Please pick fewer.";
    else text = answer.ok ? "" : (await answer.json()).detail;
  } catch {
    // As it is said.
  }
  if (source !== refused) return;
  say(element("problem"), text);
  retry = window.setTimeout(() => listen(names), RETRY_MILLISECONDS);
}

/**
 * @param {string} state
 * @param {string} text
 */
function tell(state, text) {
  const place = element("connection");
  if (place.textContent === text) return;
  place.dataset.connection = state;
  place.textContent = text;
}

function search() {
  const wanted = filter.value.trim().toLowerCase();
  for (const box of boxes()) {
    const row = box.closest("li");
    if (row) row.hidden = !box.value.toLowerCase().includes(wanted);
  }
}

/** Channels that are new are offered too. */
async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(data.links.channels);
    if (!answer.ok) return;
    /** @type {{channels: Change[]}} */
    const { channels } = await answer.json();
    const known = new Set(boxes().map((box) => box.value));
    for (const { channel } of channels) if (!known.has(channel)) offer(channel);
  } catch {
    // The connection's state is told elsewhere.
  }
}

/** @param {string} name */
function offer(name) {
  const template = elementOf("choice", HTMLTemplateElement);
  const row = /** @type {HTMLElement} */ (template.content.cloneNode(true)).querySelector("li") ?? document.createElement("li");
  const box = row.querySelector("input");
  const label = row.querySelector("span");
  if (!box || !label) return;
  box.value = label.textContent = name;
  const after = boxes().find((each) => each.value > name)?.closest("li") ?? null;
  choices.insertBefore(row, after);
  element("no-channels").hidden = true;
  element("nothing").hidden = shown.size > 0;
  search();
}

function draw() {
  if (document.hidden) return;
  const now = Date.now();
  for (const card of shown.values()) card.draw(now);
}

choices.addEventListener("change", choose);
filter.addEventListener("input", search);
element("all").addEventListener("click", () => {
  const free = boxes().filter((box) => !box.checked && !box.closest("li")?.hidden);
  for (const box of free.slice(0, data.most - picked().length)) box.checked = true;
  choose();
});
element("none").addEventListener("click", () => {
  for (const box of boxes()) box.checked = false;
  choose();
});
window.setInterval(() => void look(), LIST_MILLISECONDS);
window.setInterval(draw, DRAW_MILLISECONDS);
document.addEventListener("visibilitychange", draw);
choose();
