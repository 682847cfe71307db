/** The editor's lines that the newest traceback names, as buttons below the output: for the keyboard, and for a finger. */
import { element } from "./dom.js";

export class FrameBar {
  /** @param {(line: number) => void} go */
  constructor(go) {
    this.go = go;
  }

  /** @param {import("./traceback.js").Traceback} traceback */
  show({ lines, message }) {
    element("frames").hidden = !lines.length;
    element("frames-text").textContent = message || "In the code:";
    element("frames-lines").replaceChildren(...lines.map((line) => this.#button(line)));
  }

  /** @param {number} line */
  #button(line) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = `Line ${line}`;
    button.addEventListener("click", () => this.go(line));
    return button;
  }
}
