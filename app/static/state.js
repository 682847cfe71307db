/** What the page says about the run: status, elapsed time, exit code, and its row among the earlier runs. */
import { LIVE } from "./contract.js";
import { element, elementIfAny, say } from "./dom.js";
import { paint } from "./rows.js";
import { length } from "./times.js";

/** @typedef {import("./contract.js").Run} Run */

const PATIENCE_MILLISECONDS = 3000;
const DEAF = "The job was asked to stop and does not answer. It runs in a thread, which nobody can end but itself.";

export class RunState {
  /** @type {Run | null} */
  #run = null;
  /** When this page first saw that the run was asked to stop. */
  #asked = 0;

  /**
   * @param {number} now the server's time at this moment
   * @param {import("./rows.js").Rows} rows
   */
  constructor(now, rows) {
    this.skew = now - Date.now() / 1000;
    this.rows = rows;
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
    this.rows.put(run);
    this.rows.mark(run.id);
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
}
