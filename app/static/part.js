/** Which part of the output the terminal shows: its end, live, or a part of the past that was loaded around a line. */
import { element, say } from "./dom.js";

// A part of the past: fewer rows than the terminal holds, and few enough characters to come at once.
const ROWS = 8_000;
const CHARACTERS = 4_194_304;
// How many lines come before the one that is wanted: the first of these that leaves room for it.
const AROUND = [2_000, 200, 20, 0];
const OLDER = [6_000, 1_000, 200, 20, 0];
// Lines of what was seen before stay in view.
const KEPT = 5;

const FAILED = "This part of the output could not be loaded. Please try again.";

/** @typedef {import("./contract.js").Match} Match */

export class Part {
  /** @type {import("./reader.js").Reader | null} the live end */
  #reader = null;
  #address = "";
  /** @type {AbortController | null} */
  #loading = null;
  /** While the past is shown: its first line, the line that the cursor is in, and whether there is more after it. */
  #from = 0;
  #last = 0;
  #more = false;

  /**
   * @param {import("./screen.js").Screen} screen
   * @param {() => void} toEnd shows the live end again
   */
  constructor(screen, toEnd) {
    this.screen = screen;
    element("load-older").addEventListener("click", () => void this.#older());
    element("load-newer").addEventListener("click", () => void this.#newer());
    element("follow").addEventListener("click", () => (screen.live ? screen.toEnd() : toEnd()));
  }

  /**
   * Show the live end of a run.
   * @param {import("./reader.js").Reader} reader
   * @param {string} address of its download
   */
  live(reader, address) {
    this.#loading?.abort();
    this.#loading = null;
    say(element("part-error"), "");
    this.#reader = reader;
    this.#address = address;
    this.screen.live = true;
    this.screen.reset();
    this.moved();
  }

  /** The terminal has moved: offer what is before and after. */
  moved() {
    const { screen } = this;
    element("follow").hidden = screen.live && screen.following;
    const older = screen.full || (screen.live ? Boolean(this.#reader?.began) : this.#from > 1);
    // In the past both notes stay, whatever they say: the terminal does not change its size under the reader's eyes.
    element("older").hidden = screen.live && !older;
    element("newer").hidden = screen.live;
    offer("older", older, "Older output is not in this window.", "The output begins here.");
    offer("newer", this.#more, "The output goes on.", "The output ends here.");
    element("log").dataset.part = screen.live ? "end" : "past";
  }

  /**
   * Show a match: where it is in the terminal by scrolling there, else by loading what is around it.
   * @param {Match} match
   */
  async show(match) {
    const last = this.screen.live ? (this.#reader?.line ?? 0) : this.#last;
    const row = match.line <= last ? this.screen.lines.row(last - match.line) : -1;
    if (last && row >= 0 && this.screen.lines.show(row, match)) return;
    if (!(await this.#load(match.line, AROUND, match.position))) return;
    const found = this.screen.lines.row(this.#last - match.line);
    if (found >= 0 && !this.screen.lines.show(found, match)) this.screen.lines.scrollTo(found);
  }

  async #older() {
    const last = this.screen.live ? (this.#reader?.line ?? 0) : this.#last;
    const first = Math.max(1, last - this.screen.lines.count() + 1);
    if (await this.#load(Math.max(1, first - 1), OLDER)) this.#scrollTo(first);
  }

  async #newer() {
    const last = this.#last;
    if (await this.#load(last, AROUND)) this.#scrollTo(last);
  }

  /** @param {number} line which was at the window's edge */
  #scrollTo(line) {
    this.screen.lines.scrollTo(this.screen.lines.row(this.#last - line) - KEPT);
    // Where the button that was pressed has gone, the keyboard goes on in the terminal.
    if (document.activeElement === document.body) this.screen.terminal.focus();
  }

  /**
   * Load a part of the past that has a line in it; false where that failed, which is said, or was overtaken.
   * @param {number} line
   * @param {number[]} before how many lines to load before it, at best
   * @param {number} [position] where the line begins
   * @returns {Promise<boolean>}
   */
  async #load(line, before, position) {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    try {
      for (const distance of before) {
        const from = Math.max(1, line - distance);
        const place = from === line && position !== undefined ? `after=${position}` : `line=${from}`;
        const { text, more } = await download(`${this.#address}?${place}`, loading, this.screen.terminal.cols);
        const last = from + text.split("\n").length - 1;
        if (distance && more && last <= line) continue;
        if (loading.signal.aborted) return false;
        await this.#fill(text);
        if (loading.signal.aborted) return false;
        this.#from = from;
        this.#last = last;
        this.#more = more;
        break;
      }
    } catch {
      if (this.#loading === loading) say(element("part-error"), FAILED);
      return false;
    }
    this.moved();
    return this.#loading === loading;
  }

  /** @param {string} text */
  async #fill(text) {
    say(element("part-error"), "");
    this.screen.live = false;
    this.screen.reset();
    await this.screen.writePast(text);
  }
}

/**
 * @param {string} way
 * @param {boolean} there is there more that way?
 * @param {string} more
 * @param {string} end
 */
function offer(way, there, more, end) {
  const text = element(`${way}-text`);
  const said = there ? more : end;
  if (text.textContent !== said) text.textContent = said;
  element(`load-${way}`).hidden = !there;
}

/**
 * The beginning of a download, in whole lines where it has any, and whether there is more.
 * @param {string} address
 * @param {AbortController} loading
 * @param {number} width of the terminal
 */
async function download(address, loading, width) {
  const response = await fetch(address, { signal: loading.signal });
  if (!response.ok || !response.body) throw new Error(response.statusText);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let rows = 0;
  while (rows < ROWS && text.length < CHARACTERS) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), more: false };
    const piece = decoder.decode(value, { stream: true });
    text += piece;
    rows += piece.split("\n").length - 1 + piece.length / width;
  }
  await reader.cancel();
  return { text: shortened(text, width), more: true };
}

/**
 * As many whole lines as the terminal holds; a part of the first one where that alone is too long.
 * @param {string} text
 * @param {number} width
 */
function shortened(text, width) {
  let end = 0;
  for (let rows = 0; rows < ROWS; ) {
    const next = text.indexOf("\n", end) + 1;
    if (!next) break;
    rows += 1 + Math.floor((next - end) / width);
    if (rows < ROWS) end = next;
  }
  return text.slice(0, end || ROWS * width);
}
