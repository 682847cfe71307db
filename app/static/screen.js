/** The terminal: a bounded window on output, which only shows. */
import { Terminal } from "@xterm/xterm";
import { FitAddon } from "@xterm/addon-fit";
import { LineFinder } from "./lines.js";
import { makeInert } from "./inert.js";
import { styleByTheRules } from "./policy.js";
import { followTheme } from "./theme.js";

export const SCROLLBACK_LINES = 10_000;
// Ends any sequence that output left open, then resets everything.
const RESET = "\x18\x1bc";

export class Screen {
  /**
   * @param {HTMLElement} holder
   * @param {{moved: (following: boolean, full: boolean) => void, find: () => void}} watcher `full`: older lines are gone
   */
  constructor(holder, watcher) {
    styleByTheRules();
    this.terminal = new Terminal({
      allowProposedApi: true, // a match is marked by decorations
      convertEol: true,
      cursorInactiveStyle: "none",
      disableStdin: true,
      fontFamily: getComputedStyle(document.body).getPropertyValue("--mono"),
      fontSize: window.innerWidth < 640 ? 12 : 13,
      lineHeight: 1.25,
      minimumContrastRatio: 4.5,
      overviewRuler: { width: 10 },
      scrollback: SCROLLBACK_LINES,
    });
    this.lines = new LineFinder(this.terminal);
    /** False while a part of the past is shown: what comes is taken and not written. */
    this.live = true;
    const fit = new FitAddon();
    this.terminal.loadAddon(fit);
    makeInert(this.terminal);
    followTheme(this.terminal);
    this.terminal.open(holder);
    this.terminal.textarea?.setAttribute("aria-label", holder.dataset.label ?? "Output");
    this.terminal.attachCustomKeyEventHandler((event) => this.#key(event, watcher.find));
    this.terminal.onRender(() => watcher.moved(this.following, this.full));
    new ResizeObserver(() => fit.fit()).observe(holder);
  }

  get following() {
    const buffer = this.terminal.buffer.active;
    return buffer.viewportY >= buffer.baseY;
  }

  get full() {
    return this.terminal.buffer.normal.baseY >= SCROLLBACK_LINES;
  }

  /**
   * @param {string} text
   * @param {() => void} [shown] called when the text is in the terminal
   */
  write(text, shown) {
    if (this.live) this.terminal.write(text, shown);
    else if (shown) window.setTimeout(shown);
  }

  /**
   * Output of the past; resolves when it is in the terminal.
   * @param {string} text
   * @returns {Promise<void>}
   */
  writePast(text) {
    return new Promise((resolve) => this.terminal.write(text, resolve));
  }

  /** Empty the window, after what was written before. */
  reset() {
    this.terminal.write(RESET);
  }

  toEnd() {
    this.terminal.scrollToBottom();
  }

  /** @param {boolean} on whether screen readers are told what is shown; it slows a flood of output down */
  speak(on) {
    this.terminal.options.screenReaderMode = on;
  }

  /**
   * Keys scroll; all others stay the browser's, so that Tab leaves the terminal.
   * @param {KeyboardEvent} event
   * @param {() => void} find
   */
  #key(event, find) {
    /** @type {Record<string, () => void>} */
    const moves = {
      PageUp: () => this.terminal.scrollPages(-1),
      PageDown: () => this.terminal.scrollPages(1),
      Home: () => this.terminal.scrollToTop(),
      End: () => this.terminal.scrollToBottom(),
      ArrowUp: () => this.terminal.scrollLines(-1),
      ArrowDown: () => this.terminal.scrollLines(1),
    };
    const searches = event.key.toLowerCase() === "f" && (event.ctrlKey || event.metaKey);
    const move = searches ? find : moves[event.key];
    if (event.type === "keydown" && move) {
      event.preventDefault();
      move();
    }
    return false;
  }
}
