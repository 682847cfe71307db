/** Runs that are under way while another one is shown: their news, without their output. */
import { LIVE } from "./contract.js";
import { Reader } from "./reader.js";

// The server keeps 32 for a page.
const MOST = 24;
const BLIND = { write: (/** @type {string} */ _text, /** @type {() => void} */ shown) => shown() };

/** @typedef {import("./contract.js").Run} Run */

export class Aside {
  /** @type {Map<string, Reader>} */
  #readers = new Map();

  /**
   * @param {import("socket.io-client").Socket} socket
   * @param {(run: Run) => void} heard
   */
  constructor(socket, heard) {
    this.socket = socket;
    this.heard = heard;
    socket.on("connect", () => this.#each((reader) => reader.watch()));
    socket.on("disconnect", () => this.#each((reader) => reader.interrupted()));
    socket.on("output", (piece) => this.#readers.get(piece.run)?.take(piece));
    socket.on("status", (/** @type {{run: Run}} */ { run }) => this.#readers.get(run.id)?.status(run));
    socket.on("behind", (/** @type {{run: string, position: number}} */ { run, position }) => {
      if (this.#readers.get(run)?.isFar(position)) this.#read(run, position);
    });
  }

  /**
   * Would `watch` watch it?
   * @param {Run} run
   */
  takes(run) {
    return LIVE.has(run.status) && !this.#readers.has(run.id) && this.#readers.size < MOST;
  }

  /** @param {Run} run */
  watch(run) {
    if (this.takes(run)) this.#read(run.id, run.position);
  }

  /** @param {string} run which is shown now, and so read by another reader */
  leave(run) {
    this.#readers.get(run)?.close(true);
    this.#readers.delete(run);
  }

  /**
   * @param {string} run
   * @param {number} position
   */
  #read(run, position) {
    this.leave(run);
    const viewer = { moved: () => {}, failed: () => {}, status: (/** @type {Run} */ news) => this.#status(news) };
    const reader = new Reader(this.socket, run, BLIND, viewer, { after: position });
    this.#readers.set(run, reader);
    reader.watch();
  }

  /** @param {Run} run */
  #status(run) {
    if (!LIVE.has(run.status)) {
      this.#readers.get(run.id)?.close();
      this.#readers.delete(run.id);
    }
    this.heard(run);
  }

  /** @param {(reader: Reader) => void} act */
  #each(act) {
    for (const reader of this.#readers.values()) act(reader);
  }
}
