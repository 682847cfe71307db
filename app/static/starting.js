/** Starts: one press is one run, however often it is pressed and whatever becomes of the answer. */
import { SILENCE } from "./reader.js";

const REST_MILLISECONDS = 1000;

/** @typedef {import("./contract.js").Answer} Answer */

export class Starter {
  #starting = false;
  /** For a moment after a Start the button rests: a double click means one run. */
  #resting = false;
  /** @type {{key: string, params: string} | null} what was asked for and not answered: asked again, it is one run */
  #asked = null;

  /**
   * @param {HTMLButtonElement | null} button
   * @param {(event: string, message: object) => Promise<any>} ask
   */
  constructor(button, ask) {
    this.button = button;
    this.ask = ask;
  }

  get starting() {
    return this.#starting;
  }

  /** May it be pressed? */
  get ready() {
    return !this.#starting && !this.#resting;
  }

  /** Not disabled, which would take the focus from whoever starts by the keyboard. */
  offer() {
    if (!this.button) return;
    this.button.disabled = false;
    this.button.setAttribute("aria-disabled", String(!this.ready));
  }

  /**
   * @param {string} job
   * @param {Record<string, unknown>} params
   * @returns {Promise<Answer | null>} null where the button rests
   */
  async start(job, params) {
    if (!this.ready) return null;
    const text = JSON.stringify(params);
    this.#asked = this.#asked?.params === text ? this.#asked : { key: freshKey(), params: text };
    this.#starting = true;
    this.offer();
    const answer = await this.ask("start_request", { job, params, key: this.#asked.key, ack: true });
    this.#starting = false;
    if (answer.ok || answer.error.code !== SILENCE.code) this.#asked = null;
    if (answer.ok) this.#rest();
    this.offer();
    return answer;
  }

  #rest() {
    this.#resting = true;
    window.setTimeout(() => {
      this.#resting = false;
      this.offer();
    }, REST_MILLISECONDS);
  }
}

/** A number that is used once; randomUUID is missing where the page comes by plain HTTP. */
export function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
