/** The run that is shown: its output in the terminal, what the page says of it, Stop; and the page's one connection. */
import { connect } from "./connection.js";
import { LIVE } from "./contract.js";
import { element, elementOf, say } from "./dom.js";
import { prepareDownloads } from "./menu.js";
import { Part } from "./part.js";
import { Reader, SILENCE } from "./reader.js";
import { Rows } from "./rows.js";
import { SCROLLBACK_LINES, Screen } from "./screen.js";
import { Search } from "./search.js";
import { RunState } from "./state.js";
import { watchStorage } from "./storage.js";

const ANSWER_MILLISECONDS = 10_000;
// Of a longer output the last lines are shown, as many as the terminal holds.
const WHOLE_BYTES = 262_144;

/** @typedef {import("./contract.js").Run} Run */

export class Shown {
  /** @type {Reader | null} */
  reader = null;
  /** @type {Run | null} the run in the terminal, as it was last heard of */
  run = null;
  /** @type {((reader: Reader) => void)[]} what came for a run before its id did */
  #early = [];
  #log = element("log");
  #stop = elementOf("stop", HTMLButtonElement);
  #wrong = element("form-error");
  #downloads = prepareDownloads();
  /** Which of Stop and Kill now got no answer, so that the page says to press it again. */
  #unanswered = "";

  /**
   * @param {import("./contract.js").PageData} data
   * @param {{changed: (run: Run) => void, awaited: () => boolean, text?: (data: string) => void,
   *          decorate?: (row: HTMLElement, run: Run) => void, keeps?: (run: string) => boolean}} page `awaited`: is a run being started, whose id is not
   *   known yet? `text` is given the output as it is shown, `decorate` a new row of the list of runs;
   *   `keeps`: does another reader go on with the run that is shown no more?
   */
  constructor(data, page) {
    this.links = data.links;
    this.page = page;
    this.screen = new Screen(this.#log, { moved: () => this.part.moved(), find: () => this.search.open() });
    this.part = new Part(this.screen, () => this.again());
    this.search = new Search(
      (message) => this.ask("search", { run: this.reader?.run ?? "", ...message }),
      (match) => (match ? void this.part.show(match) : this.screen.lines.unmark()),
    );
    this.state = new RunState(data.now, new Rows(data.links.run, page.decorate));
    this.socket = connect(data.links.socket, () => this.#toLogin("You have been logged out. Runs that have started go on."));
    watchStorage(this.socket);
    this.#listen();
    this.#stop.addEventListener("click", () => void this.stop());
    this.state.stages.onKill(() => this.kill());
    element("clear").addEventListener("click", () => this.screen.reset());
    this.#prepareSpeech();
  }

  #listen() {
    this.socket.on("connect", () => this.reader?.watch());
    this.socket.on("disconnect", () => this.reader?.interrupted());
    this.socket.on("output", (piece) => this.#deliver(piece.run, (each) => each.take(piece)));
    this.socket.on("status", (/** @type {{run: Run}} */ { run }) => this.#deliver(run.id, (each) => each.status(run)));
    this.socket.on("queue", (/** @type {import("./contract.js").Turn} */ turn) => {
      this.#deliver(turn.run, () => this.state.stages.wait(turn));
    });
    this.socket.on("behind", (/** @type {{run: string, position: number}} */ { run, position }) => {
      // A flood is faster than a terminal: who follows it wants to see what is printed now.
      if (!this.run || this.reader?.run !== run || !this.reader.isFar(position)) return;
      if (!this.screen.live || !this.screen.following) return;
      this.open({ ...this.run, position });
      this.reader.watch();
    });
  }

  /**
   * @param {string} run
   * @param {(reader: Reader) => void} deliver
   */
  #deliver(run, deliver) {
    if (this.reader?.run === run) deliver(this.reader);
    else if (this.page.awaited()) this.#early.push((fresh) => fresh.run === run && deliver(fresh));
  }

  /**
   * Show a run in the terminal, from its beginning or, where that is too long, its last lines.
   * @param {Run} run
   */
  open(run) {
    if (this.reader?.run !== run.id) this.search.reset();
    const end = Math.max(run.position, this.reader?.run === run.id ? this.reader.rendered : 0);
    const { reader: before } = this;
    before?.close(before.run === run.id || Boolean(this.page.keeps?.(before.run)));
    this.run = run;
    this.#log.dataset.status = "";
    const address = this.links.output.replace("RUN", run.id);
    this.#downloads(address);
    const viewer = {
      moved: (/** @type {number} */ position) => (this.#log.dataset.position = String(position)),
      status: (/** @type {Run} */ news) => this.show(news),
      failed: (/** @type {import("./contract.js").Fault | null} */ fault) => this.#banner(fault?.message ?? ""),
      text: this.page.text,
    };
    const place = end > WHOLE_BYTES ? { tail: SCROLLBACK_LINES } : { after: 0 };
    this.reader = new Reader(this.socket, run.id, this.screen, viewer, place);
    this.part.live(this.reader, address);
  }

  /**
   * A run that was started a moment ago: the server sends its output without being asked.
   * @param {Run} run
   */
  openStarted(run) {
    this.open(run);
    this.show(run);
    for (const each of this.#early.splice(0)) if (this.reader) each(this.reader);
  }

  /** No run was started: what came meanwhile belongs to none. */
  forgetEarly() {
    this.#early = [];
  }

  /** Show the live end again. */
  again() {
    if (this.run) this.open(this.run);
    this.reader?.watch();
  }

  /** @param {Run} run */
  show(run) {
    this.run = run;
    this.state.show(run);
    this.#log.dataset.status = run.status;
    this.#stop.disabled = !LIVE.has(run.status) || run.status === "stopping";
    const stops = !LIVE.has(run.status) || (this.#unanswered === "Stop" && run.status === "stopping");
    if (this.#unanswered && stops) this.#again("");
    this.page.changed(run);
  }

  /** @param {string} button to be pressed again, or none */
  #again(button) {
    this.#unanswered = button;
    say(this.#wrong, button && `The server did not answer. Please press ${button} again.`);
  }

  async stop() {
    const { reader } = this;
    if (!reader) return;
    this.#stop.disabled = true;
    const answer = await this.ask("stop_request", { run: reader.run });
    if (answer.ok) reader.status(answer.run);
    else if (answer.error !== SILENCE || this.run?.status !== "stopping") {
      this.#refused(answer.error, "Stop");
    }
  }

  /** Kill the run now, without waiting for the stages of its Stop; false where that was refused. */
  async kill() {
    const { reader } = this;
    const answer = await this.ask("kill_request", { run: reader?.run ?? "" });
    if (answer.ok) reader?.status(answer.run);
    else this.#refused(answer.error, "Kill now");
    return answer.ok;
  }

  /**
   * @param {import("./contract.js").Fault} fault
   * @param {string} button that was pressed
   */
  #refused(fault, button) {
    const live = this.run !== null && LIVE.has(this.run.status);
    this.#stop.disabled = !live || this.run?.status === "stopping";
    if (fault !== SILENCE) this.complain(fault);
    // The answer may be lost with its connection, and the run have ended all the same.
    else if (live) this.#again(button);
  }

  /**
   * @param {string} event
   * @param {object} message
   * @returns {Promise<any>} the server's answer to this event, or a refusal
   */
  async ask(event, message) {
    try {
      return await this.socket.timeout(ANSWER_MILLISECONDS).emitWithAck(event, message);
    } catch {
      return { ok: false, error: SILENCE };
    }
  }

  /**
   * @param {import("./contract.js").Fault} fault
   * @param {string} [silence] what to say where the server did not answer
   */
  complain(fault, silence) {
    if (fault.code === "login_required" || fault.code === "login_again") this.#toLogin(fault.message);
    else say(this.#wrong, (fault === SILENCE && silence) || fault.message);
  }

  /** @param {string} text */
  #toLogin(text) {
    const next = encodeURIComponent(location.pathname + location.search);
    this.#banner(text, `${this.links.login}?next=${next}`, "Log in again");
  }

  /**
   * @param {string} text
   * @param {string} [link]
   * @param {string} [label]
   */
  #banner(text, link, label) {
    say(element("banner-text"), text);
    const anchor = elementOf("banner-link", HTMLAnchorElement);
    anchor.hidden = !link;
    if (link) anchor.href = link;
    anchor.textContent = label ?? "";
    element("banner").hidden = !text;
  }

  /** Screen readers are told of new output where the viewer wants it, which this browser remembers. */
  #prepareSpeech() {
    const button = element("speak");
    const speak = (/** @type {boolean} */ on) => {
      this.screen.speak(on);
      button.setAttribute("aria-pressed", String(on));
      localStorage.setItem("speak", String(on));
    };
    button.addEventListener("click", () => speak(button.getAttribute("aria-pressed") !== "true"));
    speak(localStorage.getItem("speak") === "true");
  }
}
