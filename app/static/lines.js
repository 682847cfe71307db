/** Lines of output among the terminal's rows: a line longer than a row goes on in the next ones. */

const MARK = { backgroundColor: "#ffb454", foregroundColor: "#101010" };
const RULER = { color: "#ff8a3d" };
// Of a match that fills more rows than these the beginning is marked.
const MARKED_ROWS = 10;

/** @typedef {import("./contract.js").Match} Match */

export class LineFinder {
  /** @type {import("@xterm/xterm").IDisposable[]} */
  #marks = [];

  /** @param {import("@xterm/xterm").Terminal} terminal */
  constructor(terminal) {
    this.terminal = terminal;
  }

  get #buffer() {
    return this.terminal.buffer.active;
  }

  get #cursor() {
    return this.#buffer.baseY + this.#buffer.cursorY;
  }

  /** How many lines the terminal holds, up to the one that the cursor is in. */
  count() {
    let lines = 0;
    for (let row = 0; row <= this.#cursor; row++) lines += this.#begins(row) ? 1 : 0;
    return lines;
  }

  /**
   * The row where a line begins that is `back` lines before the cursor's; -1 where the terminal holds no such line.
   * @param {number} back
   */
  row(back) {
    let left = back;
    for (let row = this.#cursor; row >= 0; row--) {
      if (!this.#begins(row)) continue;
      if (left === 0) return row;
      left -= 1;
    }
    return -1;
  }

  /**
   * Scroll to the line that begins in a row and mark the match in it; false where it is not there.
   * @param {number} row
   * @param {Match} match
   */
  show(row, match) {
    const found = match.text.slice(match.begins, match.ends).trimEnd();
    const cells = this.#cells(row);
    const text = cells.map((cell) => cell.text).join("");
    const exact = text.startsWith(found, match.column);
    const at = exact ? match.column : text.indexOf(found);
    if (at < 0) return false;
    const first = this.#cellAt(cells, at);
    const last = this.#cellAt(cells, at + Math.max(1, found.length) - 1);
    const { cols, rows } = this.terminal;
    this.unmark();
    for (let cell = first; cell <= last && this.#marks.length < 2 * MARKED_ROWS; cell += cols - (cell % cols)) {
      this.#mark(row + Math.floor(cell / cols), cell % cols, Math.min(cols - (cell % cols), last - cell + 1));
    }
    this.scrollTo(row + Math.floor(first / cols) - Math.floor(rows / 3));
    return true;
  }

  /** Take the marks of a match away. */
  unmark() {
    for (const mark of this.#marks.splice(0)) mark.dispose();
  }

  /**
   * @param {number} row
   * @param {number} x
   * @param {number} width
   */
  #mark(row, x, width) {
    const marker = this.terminal.registerMarker(row - this.#cursor);
    const mark = this.terminal.registerDecoration({ ...MARK, marker, x, width, overviewRulerOptions: RULER, layer: "top" });
    this.#marks.push(marker);
    if (mark) this.#marks.push(mark);
  }

  /** @param {number} row */
  scrollTo(row) {
    this.terminal.scrollToLine(Math.max(0, row));
  }

  /** @param {number} row */
  #begins(row) {
    return !this.#buffer.getLine(row)?.isWrapped;
  }

  /**
   * The characters of the line that begins in a row, with the cells that they are in, counted from there.
   * @param {number} first
   */
  #cells(first) {
    const cells = [];
    for (let row = first; row === first || (this.#buffer.getLine(row) && !this.#begins(row)); row++) {
      const line = this.#buffer.getLine(row);
      for (let column = 0; line && column < this.terminal.cols; column++) {
        const cell = line.getCell(column);
        if (cell?.getWidth()) cells.push({ text: cell.getChars() || " ", place: (row - first) * this.terminal.cols + column });
      }
    }
    return cells;
  }

  /**
   * @param {{text: string, place: number}[]} cells
   * @param {number} index of a character
   */
  #cellAt(cells, index) {
    let passed = 0;
    for (const cell of cells) {
      passed += cell.text.length;
      if (passed > index) return cell.place;
    }
    return cells.at(-1)?.place ?? 0;
  }
}
