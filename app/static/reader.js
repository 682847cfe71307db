/** A reader of one run's output: has a position, finds gaps, acknowledges what the terminal has taken. */

import { LIVE } from "./contract.js";

const ACK_BYTES = 65_536;
const ACK_MILLISECONDS = 100;
const RETRY_MILLISECONDS = 2_000;
const ANSWER_MILLISECONDS = 15_000;
/** @type {import("./contract.js").Fault} */
export const SILENCE = { code: "silence", message: "The server does not answer. This page keeps trying." };
const RETRIED = new Set(["store_unavailable", "error", "silence"]);

/** @typedef {import("./contract.js").Run} Run */

export class Reader {
  #received;
  #acknowledged;
  #asking = false;
  #closed = false;
  #completing = false;
  #ended = false;
  /** @type {number | undefined} */
  #timer;

  /**
   * @param {import("socket.io-client").Socket} socket
   * @param {string} run
   * @param {import("./screen.js").Screen} screen
   * @param {{moved: (position: number) => void, status: (run: Run) => void,
   *          failed: (fault: import("./contract.js").Fault | null) => void}} viewer `failed(null)`: all is well again
   * @param {number} after the position to start from
   */
  constructor(socket, run, screen, viewer, after = 0) {
    this.socket = socket;
    this.run = run;
    this.screen = screen;
    this.viewer = viewer;
    this.rendered = after;
    this.#received = after;
    this.#acknowledged = after;
  }

  /** Ask for all output from the last position on: at first, after a cut, and where a piece is missing. */
  watch() {
    if (this.#asking || this.#closed || !this.socket.connected) return;
    this.#asking = true;
    const request = { run: this.run, after: this.#received, ack: true };
    this.socket.timeout(ANSWER_MILLISECONDS).emitWithAck("watch", request).then(
      (/** @type {import("./contract.js").Answer} */ answer) => this.#watching(answer),
      () => this.#watching({ ok: false, error: SILENCE }),
    );
  }

  /** @param {import("./contract.js").Answer} answer */
  #watching(answer) {
    this.#asking = false;
    if (this.#closed) return;
    if (answer.ok) {
      this.viewer.failed(null);
      // What has ended sends its status after its last output.
      if (LIVE.has(answer.run.status)) this.status(answer.run);
    } else {
      this.viewer.failed(answer.error);
      if (RETRIED.has(answer.error.code)) window.setTimeout(() => this.watch(), RETRY_MILLISECONDS);
    }
  }

  /** @param {import("./contract.js").Output} piece */
  take(piece) {
    if (this.#closed || piece.position <= this.#received) return;
    if (piece.start !== this.#received) {
      this.watch();
      return;
    }
    this.#received = piece.position;
    const reason = piece.reason ? `: ${piece.reason}` : "";
    const omitted = piece.omitted ? `\n[${piece.omitted} bytes are missing here${reason}]\n` : "";
    this.screen.write(piece.data + omitted, () => this.#shown(piece.position));
  }

  /**
   * The status counts once everything printed before it is on the screen.
   * @param {Run} run
   */
  status(run) {
    const final = !LIVE.has(run.status);
    if (this.#closed || (this.#ended && !final)) return;
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

  /** The connection is gone, and with it whatever was asked. */
  interrupted() {
    this.#asking = false;
  }

  close() {
    this.#closed = true;
    window.clearTimeout(this.#timer);
    if (this.socket.connected) this.socket.emit("unwatch", { run: this.run });
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
