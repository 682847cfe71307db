/** What the page says of a run that waits or is being stopped: its turn, the stage of its Stop, the time until the next. */
import { LIVE } from "./contract.js";
import { element, elementOf } from "./dom.js";
import { ordinal } from "./times.js";

/** @typedef {import("./contract.js").Run} Run */
/** @typedef {import("./contract.js").Turn} Turn */

/** What is done in each stage of a Stop. @type {Record<string, string>} */
const NOW = {
  ask: "Asked to stop.",
  interrupt: "Interrupted, as by Ctrl-C.",
  terminate: "Told to end (SIGTERM).",
  kill: "Being killed, with all that it has started.",
  raise: "Interrupted by an exception.",
  ignored:
    "It does not respond, and a thread cannot be killed: it is ignored. What it prints is shown until it ends, and its " +
    "place stays taken until then.",
};
/** What the next stage does. @type {Record<string, string>} */
const NEXT = {
  interrupt: "It is interrupted in",
  terminate: "It is told to end in",
  kill: "It is killed in",
  raise: "An exception interrupts it in",
  ignored: "If it goes on, it is ignored in",
};
const KILLABLE = new Set(["process", "celery"]);

export class Stages {
  #place = element("stage");
  #text = element("stage-text");
  #next = element("stage-next");
  #countdown = element("countdown");
  #kill = elementOf("kill", HTMLButtonElement);
  /** @type {Run | null} */
  #run = null;
  /** @type {Turn | null} */
  #turn = null;
  /** The run whose killing was asked for. */
  #killing = "";

  /** @param {number} skew what the server's clock is ahead of this one's, in seconds */
  constructor(skew) {
    this.skew = skew;
  }

  /**
   * @param {() => Promise<boolean>} ask asks for the killing of the run that is shown; false where that was refused
   */
  onKill(ask) {
    this.#kill.addEventListener("click", async () => {
      const asked = this.#run?.id ?? "";
      this.#killing = asked;
      this.#show();
      if (!(await ask()) && this.#killing === asked) {
        this.#killing = "";
        this.#show();
      }
    });
  }

  /** @param {Run} run */
  show(run) {
    if (this.#turn?.run !== run.id || run.status !== "queued") this.#turn = null;
    this.#run = run;
    this.#show();
  }

  /** @param {Turn} turn */
  wait(turn) {
    if (this.#run?.id !== turn.run || this.#run.status !== "queued") return;
    this.#turn = turn;
    this.#show();
  }

  /** The time goes on. */
  tick() {
    const until = this.#run?.status === "stopping" ? this.#run.stage?.until : null;
    const left = until ? Math.max(0, Math.round(until - Date.now() / 1000 - this.skew)) : null;
    const text = left === null ? "" : `${left} s`;
    if (this.#countdown.textContent !== text) this.#countdown.textContent = text;
  }

  #show() {
    const run = this.#run;
    if (!run) return;
    const stopping = run.status === "stopping";
    const stage = stopping ? (run.stage ?? { name: "ask", next: null, until: null }) : null;
    const text = stage ? (NOW[stage.name] ?? "") : run.status === "queued" ? turnText(this.#turn) : "";
    // Only where it changes: a screen reader says it again.
    if (this.#text.textContent !== text) this.#text.textContent = text;
    this.#next.textContent = (stage?.next && NEXT[stage.next]) || "";
    this.#place.dataset.stage = stage?.name ?? "";
    this.#place.toggleAttribute("data-shown", Boolean(text) && LIVE.has(run.status));
    this.#offerKill(stopping && KILLABLE.has(run.executor) && stage?.name !== "kill", run.id);
    this.tick();
  }

  /**
   * @param {boolean} offered
   * @param {string} run
   */
  #offerKill(offered, run) {
    const focused = document.activeElement === this.#kill;
    this.#kill.hidden = !offered;
    this.#kill.setAttribute("aria-disabled", String(this.#killing === run));
    // Where the button that was pressed has gone, the keyboard goes on in the terminal.
    if (focused && !offered) element("log").querySelector("textarea")?.focus();
  }
}

/** @param {Turn | null} turn */
function turnText(turn) {
  if (!turn) return "It waits for its turn.";
  const before = turn.position - 1;
  const place = before > 0 ? `${ordinal(turn.position)} in the queue, ${before} before you.` : "Next in the queue.";
  return turn.message ? `${place} ${turn.message}` : place;
}
