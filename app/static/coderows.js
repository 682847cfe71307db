/** What a row of the Console's list of runs has beside: the code's first line, the way back into the editor, a question. */
import { LIVE } from "./contract.js";
import { elementOf } from "./dom.js";
import { firstLine } from "./source.js";

/** @typedef {import("./contract.js").Run} Run */

/**
 * @param {HTMLElement} row a new one
 * @param {Run} run
 */
export function decorate(row, run) {
  const parts = elementOf("row-parts", HTMLTemplateElement).content.cloneNode(true);
  const link = row.querySelector("a");
  if (!(parts instanceof DocumentFragment) || !link) return;
  const again = parts.querySelector("a");
  if (again) again.href = again.href.replace("RUN", run.id);
  const line = parts.querySelector(".title");
  if (line) line.textContent = firstLine(String(run.params.source ?? ""));
  link.append(...parts.querySelectorAll("span"));
  row.append(parts);
}

/**
 * Say whether the run waits for a line of input.
 * @param {HTMLElement | null} row
 * @param {Run} run
 */
export function tellAsking(row, run) {
  const asks = row?.querySelector(".asks");
  if (asks instanceof HTMLElement) asks.hidden = typeof run.asks !== "string" || !LIVE.has(run.status);
}
