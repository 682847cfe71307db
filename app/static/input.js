/** The box for a line that the shown run waits for: `input()` of typed code. */
import { LIVE } from "./contract.js";
import { element, elementOf, say } from "./dom.js";
import { SILENCE } from "./reader.js";

const BETWEEN_MILLISECONDS = 600;
const LONGEST_LINE = 10_000;
const UNANSWERED = "The server did not answer. Please send the line again.";

/** @typedef {import("./contract.js").Run} Run */
/** @typedef {import("./contract.js").Answer} Answer */

export class InputBox {
  #box = elementOf("input-box", HTMLFormElement);
  #line = elementOf("input-line", HTMLInputElement);
  #label = element("input-label");
  /** @type {Run | null} whose input this is */
  #run = null;
  /** A line was sent: the box goes unless another is asked for. */
  #leaving = 0;

  /**
   * @param {(message: object) => Promise<any>} send
   * @param {{mayFocus: () => boolean, stop: () => void}} page
   */
  constructor(send, page) {
    this.send = send;
    this.page = page;
    this.#box.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#answer({ line: this.#line.value });
    });
    element("input-eof").addEventListener("click", () => void this.#answer({ eof: true }));
    this.#line.addEventListener("keydown", (event) => {
      if (event.key === "Escape") page.stop();
      if (event.key.toLowerCase() !== "d" || !event.ctrlKey || this.#line.value) return;
      event.preventDefault();
      void this.#answer({ eof: true });
    });
  }

  /** @param {Run} run which is shown now, as it was last heard of */
  show(run) {
    if (this.#run?.id !== run.id) this.#line.value = "";
    this.#run = run;
    if (typeof run.asks !== "string" || run.status !== "running") {
      // Between two questions the box stays, for a moment.
      if (!this.#leaving || !LIVE.has(run.status)) this.#hide();
      return;
    }
    window.clearTimeout(this.#leaving);
    this.#leaving = 0;
    this.#label.textContent = run.asks.trim() || "The code waits for a line of input";
    if (!this.#box.hidden) return;
    this.#box.hidden = false;
    if (this.page.mayFocus()) this.#line.focus();
  }

  #hide() {
    window.clearTimeout(this.#leaving);
    this.#leaving = 0;
    if (this.#box.hidden) return;
    const focused = this.#box.contains(document.activeElement);
    this.#box.hidden = true;
    // The keyboard goes on at the output, from where a next question takes it back.
    if (focused) element("log").querySelector("textarea")?.focus();
  }

  /** @param {{line: string} | {eof: true}} answer */
  async #answer(answer) {
    const run = this.#run;
    if (!run) return;
    const typed = this.#line.value;
    // A second click or key before the next question is none of its answers.
    if (this.#leaving && !typed) return;
    if (typed.length > LONGEST_LINE) {
      say(element("input-error"), `This line is too long: at most ${LONGEST_LINE} characters can be sent.`);
      return;
    }
    this.#line.value = "";
    say(element("input-error"), "");
    window.clearTimeout(this.#leaving);
    this.#leaving = window.setTimeout(() => this.#hide(), BETWEEN_MILLISECONDS);
    const given = await this.send({ run: run.id, ...answer });
    if (given.ok || this.#run?.id !== run.id || this.#run.status !== "running") return;
    // What was typed is not lost.
    this.#line.value ||= typed;
    window.clearTimeout(this.#leaving);
    this.#leaving = 0;
    this.#box.hidden = false;
    say(element("input-error"), given.error === SILENCE ? UNANSWERED : given.error.message);
  }
}
