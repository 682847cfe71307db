/** The menu of drafts: earlier texts of the editor that never became a run's code, or were replaced. */
import { closeAsMenusDo } from "./menu.js";
import { elementOf } from "./dom.js";
import { firstLine } from "./source.js";
import { show } from "./times.js";

/** @typedef {import("./drafts.js").Draft} Draft */

export class DraftsMenu {
  #menu = elementOf("drafts", HTMLDetailsElement);

  /**
   * @param {import("./drafts.js").Drafts} drafts
   * @param {() => string} text of the editor
   * @param {(text: string) => void} use
   */
  constructor(drafts, text, use) {
    this.drafts = drafts;
    this.text = text;
    this.use = use;
    this.#menu.addEventListener("toggle", () => this.#menu.open && this.update());
    window.addEventListener("storage", () => this.update());
    closeAsMenusDo(this.#menu);
  }

  update() {
    const others = this.drafts.others(this.text());
    this.#menu.hidden = !others.length && !this.#menu.open;
    this.#menu.querySelector("ul")?.replaceChildren(...others.map((draft) => this.#item(draft)));
  }

  /** @param {Draft} draft */
  #item(draft) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    const line = document.createElement("code");
    line.textContent = firstLine(draft.text);
    const when = document.createElement("small");
    const time = document.createElement("time");
    show(time, new Date(draft.time));
    when.append(time);
    button.append(line, when);
    button.addEventListener("click", () => {
      this.#menu.open = false;
      this.use(draft.text);
    });
    item.append(button);
    return item;
  }
}
