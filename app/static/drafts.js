/** What was typed, kept by this browser: the buffer of this tab, and earlier ones that would be lost. */
import { freshKey } from "./starting.js";

const MOST = 20;
const TAB = "console-tab";

/** @typedef {{key: string, text: string, time: number}} Draft */

export class Drafts {
  /** False where this browser keeps nothing. */
  kept = true;
  /** @type {string | null} this tab's */
  #text = null;

  /** @param {string} user whose they are: several people may use one browser */
  constructor(user) {
    this.prefix = `console:${user}:`;
    /** @type {string} */
    this.tab = this.#tab();
    window.addEventListener("storage", (event) => {
      // A copy of this tab has its name too and writes over it, or so many drafts came that it was taken for an old
      // one: this tab goes on under another name.
      if (event.key !== this.prefix + this.tab) return;
      this.#rename();
      if (this.#text !== null) this.save(this.#text);
    });
  }

  /** @returns {string | null} what this tab had, else what was typed last in any other; null: nothing yet */
  load() {
    const own = this.#read(this.prefix + this.tab);
    this.#text = own?.text ?? this.all()[0]?.text ?? null;
    return this.#text;
  }

  /** @param {string} text of this tab, now */
  save(text) {
    this.#text = text;
    this.#write(this.prefix + this.tab, text);
  }

  /**
   * Keep a text that is about to be replaced.
   * @param {string} text
   */
  keep(text) {
    if (!text.trim() || this.all().some((each) => each.text === text && each.key !== this.prefix + this.tab)) return;
    this.#write(this.prefix + freshKey(), text);
    for (const old of this.all().slice(MOST)) localStorage.removeItem(old.key);
  }

  /**
   * What other tabs have, and what was replaced, newest first.
   * @param {string} [shown] a text that need not be offered
   * @returns {Draft[]}
   */
  others(shown) {
    const seen = new Set([shown]);
    return this.all().filter((each) => each.key !== this.prefix + this.tab && !seen.has(each.text) && seen.add(each.text));
  }

  /** @returns {Draft[]} */
  all() {
    /** @type {Draft[]} */
    const found = [];
    try {
      for (const key of Object.keys(localStorage)) {
        const draft = key.startsWith(this.prefix) ? this.#read(key) : null;
        if (draft?.text.trim()) found.push(draft);
      }
    } catch {
      this.kept = false;
    }
    return found.sort((one, other) => other.time - one.time);
  }

  /**
   * @param {string} key
   * @returns {Draft | null}
   */
  #read(key) {
    try {
      const { text, time } = JSON.parse(localStorage.getItem(key) ?? "null") ?? {};
      return typeof text === "string" && typeof time === "number" ? { key, text, time } : null;
    } catch {
      return null;
    }
  }

  /**
   * @param {string} key
   * @param {string} text
   */
  #write(key, text) {
    try {
      localStorage.setItem(key, JSON.stringify({ text, time: Date.now() }));
      this.kept = true;
    } catch {
      this.kept = false;
    }
  }

  /** @returns {string} */
  #tab() {
    try {
      return sessionStorage.getItem(TAB) ?? this.#rename();
    } catch {
      return freshKey();
    }
  }

  /** @returns {string} */
  #rename() {
    this.tab = freshKey();
    try {
      sessionStorage.setItem(TAB, this.tab);
    } catch {
      this.kept = false;
    }
    return this.tab;
  }
}
