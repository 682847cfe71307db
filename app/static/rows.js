/** The list of runs beside the one that is shown: a row for each, newest first. */
import { LIVE } from "./contract.js";
import { element, elementIfAny } from "./dom.js";
import { show } from "./times.js";

/** @typedef {import("./contract.js").Run} Run */

export class Rows {
  /**
   * @param {string} address of a run's page, with RUN for its id
   * @param {(row: HTMLElement, run: Run) => void} [decorate] adds what else the page has in a row
   */
  constructor(address, decorate) {
    this.address = address;
    this.decorate = decorate;
    this.list = elementIfAny("runs", HTMLOListElement);
  }

  /**
   * The row of a run; made, first in the list, where it has none.
   * @param {Run} run
   * @returns {HTMLElement | null} null where the page has no list
   */
  put(run) {
    if (!this.list) return null;
    const row = this.find(run.id) ?? this.#make(run);
    if (!row.parentElement) this.list.prepend(row);
    const status = row.querySelector(".status");
    if (status instanceof HTMLElement) paint(status, run.status);
    const why = row.querySelector(".why");
    if (why) why.textContent = ending(run);
    element("no-runs").hidden = true;
    return row;
  }

  /** @param {string} id of the run whose output is shown */
  mark(id) {
    for (const each of this.list?.children ?? []) {
      each.toggleAttribute("data-shown", each instanceof HTMLElement && each.dataset.run === id);
    }
  }

  /** @param {string} id */
  find(id) {
    const rows = [...(this.list?.children ?? [])].filter((row) => row instanceof HTMLElement);
    return rows.find((row) => row.dataset.run === id) ?? null;
  }

  /** @param {Run} run */
  #make(run) {
    const row = document.createElement("li");
    row.dataset.run = run.id;
    const link = document.createElement("a");
    link.href = this.address.replace("RUN", run.id);
    const when = document.createElement("span");
    when.className = "when";
    const time = document.createElement("time");
    show(time, new Date(run.created * 1000));
    when.append(time);
    const why = document.createElement("span");
    why.className = "why";
    link.append(element("status").cloneNode(true), why, when);
    link.querySelector("[id]")?.removeAttribute("id");
    row.append(link);
    this.decorate?.(row, run);
    return row;
  }
}

/**
 * How a run ended, in two or three words: "out of memory", its signal, or its exit code where that is not 0.
 * @param {Run} run
 */
export function ending(run) {
  if (LIVE.has(run.status)) return "";
  if (run.message.startsWith("Out of memory")) return "out of memory";
  if (run.signal) return `by ${run.signal}`;
  return run.exit_code ? `exit code ${run.exit_code}` : "";
}

/**
 * @param {HTMLElement} chip
 * @param {string} status
 */
export function paint(chip, status) {
  if (chip.dataset.status === status) return;
  chip.dataset.status = status;
  chip.querySelector("use")?.setAttribute("href", `#i-${status.replace(" ", "-")}`);
  const word = chip.querySelector(".word");
  if (word) word.textContent = status;
}
