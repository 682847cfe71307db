/** A reader of one run's output: has a position, finds gaps, acknowledges what the terminal has taken. */

import { LIVE } from "./contract.js";

const ACK_BYTES = 65_536;
const ACK_MILLISECONDS = 100;
const RETRY_MILLISECONDS = 2_000;
const ANSWER_MILLISECONDS = 15_000;
// Of more than this only the last part is shown, however few lines it has.
const MOST_BYTES = 8_388_608;
/** @type {import("./contract.js").Fault} */
export const SILENCE = { code: "silence", message: "The server does not answer. This page keeps trying." };
const RETRIED = new Set(["store_unavailable", "error", "silence"]);

/** @typedef {import("./contract.js").Run} Run */

/** @typedef {{after: number} | {tail: number}} Place where output begins, as docs/reading-back.md has it */

export class Reader {
  /** @type {number | null} null until the server has told where the place is */
  #received = null;
  #acknowledged = 0;
  #line = 0;
  /** Line ends since the last `watch`. */
  #counted = 0;
  /** @type {(() => void)[]} what came before it was known where output begins */
  #held = [];
  #asking = false;
  #closed = false;
  #completing = false;
  #ended = false;
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {import("socket.io-client").Socket} socket
   * @param {string} run
   * @param {{write: (text: string, shown: () => void) => void}} screen calls `shown` when it has shown the text
   * @param {{moved: (position: number) => void, status: (run: Run) => void,
   *          failed: (fault: import("./contract.js").Fault | null) => void, text?: (data: string) => void}} viewer
   *   `failed(null)`: all is well again; `text` is given each piece as it is shown
   * @param {Place} place
   */
  constructor(socket, run, screen, viewer, place) {
    this.socket = socket;
    this.run = run;
    this.screen = screen;
    this.viewer = viewer;
    this.place = place;
    this.rendered = 0;
    /** The position of the first byte shown. */
    this.began = 0;
    if ("after" in place) this.#begin(place.after, 1);
  }

  /** The number of the line that the end of what came is in; 0 where it is not known. */
  get line() {
    return this.#line;
  }

  /**
   * @param {number} position
   * @param {number} line
   */
  #begin(position, line) {
    this.#received = this.#acknowledged = this.rendered = this.began = position;
    this.#line = position ? line : 1;
    this.viewer.moved(position);
  }

  /** Ask for all output from the last position on: at first, after a cut, and where a piece is missing. */
  watch() {
    if (this.#asking || this.#closed || !this.socket.connected) return;
    this.#asking = true;
    this.#counted = 0;
    const place = this.#received === null ? this.place : { after: this.#received };
    const request = { run: this.run, ack: true, ...place };
    this.socket.timeout(ANSWER_MILLISECONDS).emitWithAck("watch", request).then(
      (/** @type {import("./contract.js").WatchAnswer} */ answer) => this.#watching(answer),
      () => this.#watching({ ok: false, error: SILENCE }),
    );
  }

  /** @param {import("./contract.js").WatchAnswer} answer */
  #watching(answer) {
    this.#asking = false;
    if (this.#closed) return;
    if (answer.ok) {
      this.viewer.failed(null);
      if (this.#located(answer)) return;
      this.#line = answer.line + this.#counted;
      for (const each of this.#held.splice(0)) each();
      // What has ended sends its status after its last output.
      if (LIVE.has(answer.run.status)) this.status(answer.run);
    } else {
      this.viewer.failed(answer.error);
      if (RETRIED.has(answer.error.code)) window.setTimeout(() => this.watch(), RETRY_MILLISECONDS);
    }
  }

  /**
   * Begin where the server says; true where that is too far from the end, and it was asked again.
   * @param {{run: Run, after: number, line: number}} answer
   */
  #located(answer) {
    if (this.#received !== null) return false;
    const far = answer.run.position - answer.after > MOST_BYTES;
    this.#begin(far ? answer.run.position - MOST_BYTES : answer.after, answer.line);
    if (!far) return false;
    this.#held = [];
    this.watch();
    return true;
  }

  /** @param {import("./contract.js").Output} piece */
  take(piece) {
    if (this.#received === null) {
      this.#held.push(() => this.take(piece));
      return;
    }
    if (this.#closed || piece.position <= this.#received) return;
    if (piece.start !== this.#received) {
      this.watch();
      return;
    }
    this.#received = piece.position;
    const lines = piece.data.split("\n").length - 1;
    this.#counted += lines;
    if (this.#line) this.#line += lines;
    const reason = piece.reason ? `: ${piece.reason}` : "";
    const omitted = piece.omitted ? `\n[${piece.omitted} bytes are missing here${reason}]\n` : "";
    this.viewer.text?.(piece.data);
    this.screen.write(piece.data + omitted, () => this.#shown(piece.position));
    if (omitted) {
      // How many lines are missing the server knows.
      this.#line = 0;
      this.watch();
    }
  }

  /**
   * The status counts once everything printed before it is on the screen.
   * @param {Run} run
   */
  status(run) {
    const final = !LIVE.has(run.status);
    if (this.#closed || (this.#ended && !final)) return;
    if (this.#received === null) {
      this.#held.push(() => this.status(run));
      return;
    }
    if (final && run.position > this.#received && !this.#completing) {
      this.#completing = true;
      this.watch();
      return;
    }
    this.#ended ||= final;
    this.screen.write("", () => {
      if (!this.#closed) this.viewer.status(run);
    });
  }

  /**
   * May what lies between here and the output's end be left out? Not what is being read.
   * @param {number} position of the end
   */
  isFar(position) {
    return !this.#closed && this.#received !== null && position - this.#received > MOST_BYTES;
  }

  /** The connection is gone, and with it whatever was asked. */
  interrupted() {
    this.#asking = false;
  }

  /** @param {boolean} [replaced] another reader of the same run is about to watch: it must not be told off after that */
  close(replaced = false) {
    this.#closed = true;
    window.clearTimeout(this.#timer);
    if (this.socket.connected && !replaced) this.socket.emit("unwatch", { run: this.run });
  }

  /** @param {number} position */
  #shown(position) {
    if (this.#closed) return;
    this.rendered = position;
    this.viewer.moved(position);
    if (position - this.#acknowledged >= ACK_BYTES) this.#acknowledge();
    else this.#timer ??= window.setTimeout(() => this.#acknowledge(), ACK_MILLISECONDS);
  }

  #acknowledge() {
    window.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#acknowledged = this.rendered;
    if (this.socket.connected) this.socket.emit("ack", { run: this.run, position: this.rendered });
  }
}
