/** What the page says about the run: status, stage, elapsed time, how it ended, and its row among the earlier runs. */
import { LIVE } from "./contract.js";
import { element, elementIfAny, say } from "./dom.js";
import { ending, paint } from "./rows.js";
import { Stages } from "./stages.js";
import { length } from "./times.js";

/** @typedef {import("./contract.js").Run} Run */

export class RunState {
  /** @type {Run | null} */
  #run = null;

  /**
   * @param {number} now the server's time at this moment
   * @param {import("./rows.js").Rows} rows
   */
  constructor(now, rows) {
    this.skew = now - Date.now() / 1000;
    this.rows = rows;
    this.stages = new Stages(this.skew);
    window.setInterval(() => this.#tick(), 250);
  }

  /** @param {Run} run */
  show(run) {
    this.#run = run;
    paint(element("status"), run.status);
    element("exit").textContent = ending(run);
    say(element("message"), run.message);
    element("blank").hidden = true;
    this.stages.show(run);
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
    this.stages.tick();
  }
}
