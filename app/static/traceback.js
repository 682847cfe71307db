/** Lines of a traceback that are the editor's: found in the output, and clickable in the terminal. */

const FRAME = /File "<editor>", line (\d+)/;
const BEGINS = /^Traceback \(most recent call last\):/;
const MESSAGE = /^[A-Za-z_][\w.]*(?::|$)/;
// Of deep recursion the last frames are offered.
const MOST = 6;
const LONGEST = 4_096;
// Colours, where a traceback has any.
const COLOUR = /\x1b\[[\d;]*m/g;

export class Traceback {
  /** @type {number[]} lines of the newest traceback, innermost last */
  lines = [];
  /** What it says at its end: "ValueError: ...". */
  message = "";
  #rest = "";
  #open = false;

  /** Other output follows. */
  reset() {
    this.lines = [];
    this.message = this.#rest = "";
    this.#open = false;
  }

  /**
   * @param {string} text more of the output
   * @returns {boolean} did this change what is known?
   */
  take(text) {
    const known = `${this.lines} ${this.message}`;
    // Of a flood without a traceback nothing is looked at line by line.
    if (!this.#open && !this.#rest && !text.includes("<editor>") && !text.includes("Traceback")) {
      this.#rest = text.slice(text.lastIndexOf("\n") + 1).slice(0, LONGEST);
      return false;
    }
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(0, LONGEST);
    for (const line of lines) this.#line(line.replace(COLOUR, "").trimEnd());
    return known !== `${this.lines} ${this.message}`;
  }

  /** @param {string} line */
  #line(line) {
    const frame = FRAME.exec(line);
    if (BEGINS.test(line) || (frame && !this.#open)) {
      this.lines = [];
      this.message = "";
      this.#open = true;
    }
    if (frame) {
      const number = Number(frame[1]);
      this.lines = [...this.lines.filter((each) => each !== number), number].slice(-MOST);
    } else if (this.#open && MESSAGE.test(line) && !BEGINS.test(line)) {
      this.message = line.slice(0, 300);
      this.#open = false;
    }
  }
}

/**
 * @param {import("@xterm/xterm").Terminal} terminal
 * @param {(line: number) => void} go
 */
export function linkLines(terminal, go) {
  terminal.registerLinkProvider({
    provideLinks(y, callback) {
      const text = terminal.buffer.active.getLine(y - 1)?.translateToString(true) ?? "";
      const found = FRAME.exec(text);
      if (!found) return callback(undefined);
      const range = { start: { x: found.index + 1, y }, end: { x: found.index + found[0].length, y } };
      callback([{ range, text: found[0], activate: () => go(Number(found[1])) }]);
    },
  });
}
