/** The search box: lines are searched on the server, over all of a run's output, and shown in the terminal. */
import { element, elementOf } from "./dom.js";
import { SILENCE } from "./reader.js";

const TYPING_MILLISECONDS = 250;
// Matches that are fetched at once, and before the viewer asks for more.
const PAGE = 200;
const ENOUGH = 1000;
const UNANSWERED = "The server did not answer. Please search again.";

/** @typedef {import("./contract.js").Match} Match */
/** @typedef {import("./contract.js").SearchAnswer} SearchAnswer */

export class Search {
  #box = elementOf("search", HTMLFormElement);
  #query = elementOf("query", HTMLInputElement);
  #case = elementOf("match-case", HTMLButtonElement);
  #pattern = elementOf("match-pattern", HTMLButtonElement);
  #opener = element("find");
  #status = element("matches");
  /** @type {Match[]} */
  #matches = [];
  #index = -1;
  #searched = 0;
  #done = false;
  #failed = "";
  /** What is searched for now: an answer to another search is late. */
  #current = 0;
  #busy = false;
  #timer = 0;

  /**
   * @param {(message: object) => Promise<SearchAnswer>} ask
   * @param {(match: Match | null) => void} show null: nothing is marked any more
   */
  constructor(ask, show) {
    this.ask = ask;
    this.show = show;
    this.#opener.addEventListener("click", () => (this.#box.hidden ? this.open() : this.#close()));
    element("close-search").addEventListener("click", () => this.#close());
    element("previous").addEventListener("click", () => void this.#step(-1));
    for (const option of [this.#case, this.#pattern]) {
      option.addEventListener("click", () => {
        option.setAttribute("aria-pressed", String(!pressed(option)));
        this.#begin();
      });
    }
    this.#query.addEventListener("input", () => {
      window.clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => this.#begin(), TYPING_MILLISECONDS);
    });
    this.#box.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#step(1);
    });
    this.#box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#close();
      if (event.key === "Enter" && event.shiftKey && event.target === this.#query) {
        event.preventDefault();
        void this.#step(-1);
      }
    });
  }

  open() {
    this.#box.hidden = false;
    this.#opener.setAttribute("aria-expanded", "true");
    this.#query.focus();
    this.#query.select();
  }

  /** Another run is shown: what was found is not in it. */
  reset() {
    this.#forget();
    this.#say();
  }

  #close() {
    this.#box.hidden = true;
    this.#opener.setAttribute("aria-expanded", "false");
    this.#forget();
    this.#opener.focus();
  }

  #forget() {
    window.clearTimeout(this.#timer);
    this.#timer = 0;
    this.#current += 1;
    this.#matches = [];
    this.#index = -1;
    this.#searched = 0;
    this.#done = this.#busy = false;
    this.#failed = "";
    this.show(null);
  }

  /** Search for what stands in the box, from the output's beginning. */
  #begin() {
    this.#forget();
    void this.#collect(ENOUGH);
  }

  /**
   * Fetch matches until there are `enough`, or none is left.
   * @param {number} enough
   */
  async #collect(enough) {
    const wanted = this.#query.value;
    const current = this.#current;
    if (!wanted || this.#busy) {
      this.#say();
      return;
    }
    this.#busy = true;
    const query = { [pressed(this.#pattern) ? "pattern" : "text"]: wanted, ignore_case: !pressed(this.#case), limit: PAGE };
    do {
      this.#say();
      const answer = await this.ask({ ...query, after: this.#searched });
      if (current !== this.#current) return;
      this.#take(answer);
    } while (!this.#done && !this.#failed && this.#matches.length < enough);
    this.#busy = false;
    this.#say();
  }

  /** @param {SearchAnswer} answer */
  #take(answer) {
    this.#failed = answer.ok ? "" : answer.error.code === SILENCE.code ? UNANSWERED : answer.error.message;
    if (!answer.ok) return;
    const known = this.#matches.at(-1)?.position ?? -1;
    // The unfinished last line of a live run is searched again as it grows.
    this.#matches.push(...answer.matches.filter((match) => match.position > known));
    this.#searched = answer.searched;
    this.#done = answer.done;
    if (this.#index < 0 && this.#matches.length) this.#go(0);
  }

  /** @param {number} way */
  async #step(way) {
    if (this.#timer && !this.#matches.length && !this.#busy) {
      this.#begin();
      return;
    }
    const next = this.#index + way;
    if (next >= this.#matches.length && !this.#busy) {
      // More may have been printed since the search came to the end.
      await this.#collect(this.#matches.length + ENOUGH);
    }
    const count = this.#matches.length;
    if (count) this.#go(next >= count ? 0 : (next + count) % count);
    this.#say();
  }

  /** @param {number} index */
  #go(index) {
    const match = this.#matches[index];
    if (!match) return;
    this.#index = index;
    this.show(match);
  }

  #say() {
    const count = `${this.#matches.length}${this.#done ? "" : "+"}`;
    const found = this.#matches.length ? `${this.#index + 1} of ${count}` : this.#done ? "Not in the output" : "";
    const text = this.#failed || (this.#busy ? `${found} Searching…`.trim() : found);
    this.#status.classList.toggle("wrong", Boolean(this.#failed));
    this.#query.setAttribute("aria-invalid", String(Boolean(this.#failed)));
    if (this.#status.textContent !== text) this.#status.textContent = this.#query.value ? text : "";
  }
}

/** @param {HTMLElement} button */
function pressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}
