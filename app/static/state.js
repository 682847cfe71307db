/** What the page says about the run: status, elapsed time, exit code, and its row among the earlier runs. */
import { LIVE } from "./contract.js";
import { element, elementIfAny, say } from "./dom.js";
import { length, show } from "./times.js";

/** @typedef {import("./contract.js").Run} Run */

const PATIENCE_MILLISECONDS = 3000;
const DEAF = "The job was asked to stop and does not answer. It runs in a thread, which nobody can end but itself.";

export class RunState {
  /** @type {Run | null} */
  #run = null;
  /** When this page first saw that the run was asked to stop. */
  #asked = 0;

  /** @param {number} now the server's time at this moment */
  constructor(now) {
    this.skew = now - Date.now() / 1000;
    this.links = { run: "" };
    window.setInterval(() => this.#tick(), 250);
  }

  /** @param {Run} run */
  show(run) {
    this.#asked = run.status !== "stopping" ? 0 : this.#asked || Date.now();
    this.#run = run;
    paint(element("status"), run.status);
    element("exit").textContent = run.exit_code ? `exit code ${run.exit_code}` : "";
    say(element("message"), run.message);
    element("blank").hidden = true;
    this.#progress(run);
    this.#tick();
    this.#list(run);
  }

  /** @param {Run} run */
  #progress(run) {
    const bar = elementIfAny("progress", HTMLProgressElement);
    if (!bar) return;
    bar.hidden = !run.progress || !LIVE.has(run.status);
    if (!run.progress) return;
    const [done, total] = run.progress;
    bar.max = total || 1;
    bar.value = done;
    bar.title = `${done} of ${total}`;
  }

  #tick() {
    const run = this.#run;
    if (!run) return;
    const end = run.ended ?? Date.now() / 1000 + this.skew;
    const shown = run.started ? length(end - run.started, !LIVE.has(run.status)) : "";
    if (element("elapsed").textContent !== shown) element("elapsed").textContent = shown;
    const patience = this.#asked && Date.now() - this.#asked > PATIENCE_MILLISECONDS;
    if (patience && !run.message) say(element("message"), DEAF);
  }

  /** @param {Run} run */
  #list(run) {
    const list = elementIfAny("runs", HTMLOListElement);
    if (!list) return;
    const found = [...list.children].find((row) => row instanceof HTMLElement && row.dataset.run === run.id);
    const row = found ?? this.#row(run);
    if (!found) list.prepend(row);
    for (const each of list.children) each.toggleAttribute("data-shown", each === row);
    const status = row.querySelector(".status");
    if (status instanceof HTMLElement) paint(status, run.status);
    element("no-runs").hidden = true;
  }

  /** @param {Run} run */
  #row(run) {
    const row = document.createElement("li");
    row.dataset.run = run.id;
    const link = document.createElement("a");
    link.href = this.links.run.replace("RUN", run.id);
    const when = document.createElement("span");
    when.className = "when";
    const time = document.createElement("time");
    show(time, new Date(run.created * 1000));
    when.append(time);
    link.append(element("status").cloneNode(true), when);
    link.querySelector("[id]")?.removeAttribute("id");
    row.append(link);
    return row;
  }
}

/**
 * @param {HTMLElement} chip
 * @param {string} status
 */
function paint(chip, status) {
  if (chip.dataset.status === status) return;
  chip.dataset.status = status;
  chip.querySelector("use")?.setAttribute("href", `#i-${status.replace(" ", "-")}`);
  const word = chip.querySelector(".word");
  if (word) word.textContent = status;
}
