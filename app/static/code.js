/** The page where code is typed and run: the editor, its runs, and the output of the one that is shown. */
import { Aside } from "./aside.js";
import { decorate, tellAsking } from "./coderows.js";
import { LIVE } from "./contract.js";
import { element, elementOf, say } from "./dom.js";
import { Drafts } from "./drafts.js";
import { DraftsMenu } from "./draftsmenu.js";
import { Editor } from "./editor.js";
import { FrameBar } from "./framebar.js";
import { InputBox } from "./input.js";
import { Shown } from "./shown.js";
import { normal, same } from "./source.js";
import { Starter } from "./starting.js";
import { localise } from "./times.js";
import { linkLines, Traceback } from "./traceback.js";

const EXAMPLE = `# Press Run, or Ctrl-Enter. The value of the last line is shown.
from statistics import mean

temperatures = [18.5, 21.0, 19.2]
for day, value in enumerate(temperatures, 1):
    print(f"Day {day}: {value} °C")

mean(temperatures)
`;
const JOB = "code";
// Narrower than this (as in code.css), the output stands below the editor.
const ONE_COLUMN = 960;

/** @typedef {import("./contract.js").Run} Run */

/** @type {import("./contract.js").CodeData} */
const data = JSON.parse(element("data").textContent ?? "");
const start = elementOf("start", HTMLButtonElement);

const drafts = new Drafts(data.user);
const typed = drafts.load();
const editor = new Editor(element("editor"), typed ?? EXAMPLE, { changed: keep, run: () => void run(), stop: escape });
const menu = new DraftsMenu(drafts, () => editor.text, replace);
const traceback = new Traceback();
const frames = new FrameBar((line) => void goTo(line));
const shown = new Shown(data, { changed, awaited: () => starter.starting, text: read, decorate, keeps });
const starter = new Starter(start, (event, message) => shown.ask(event, message));
const aside = new Aside(shown.socket, (news) => tell(news));
const input = new InputBox((message) => shown.ask("input", message), { mayFocus, stop: escape });

/** @type {Map<string, Run>} the runs that this page has heard of */
const known = new Map();
/** Was anything typed since Run was pressed? */
let typing = false;

/** @param {string} text of the editor */
function keep(text) {
  typing = true;
  drafts.save(text);
  say(element("unkept"), drafts.kept ? "" : "This browser keeps nothing: what you type here is lost with this page.");
  window.onbeforeunload = drafts.kept ? null : (event) => event.preventDefault();
}

/**
 * Put other code into the editor; what was there stays among the drafts, and undo brings it back.
 * @param {string} text
 */
function replace(text) {
  if (same(editor.text, text)) return;
  // What ran is in the list of runs.
  if (!same(editor.text, EXAMPLE) && !editor.ran) drafts.keep(editor.text);
  editor.replace(text);
  menu.update();
}

async function run() {
  if (data.refusal || !starter.ready) return;
  const source = editor.text;
  if (!source.trim()) {
    say(element("form-error"), "There is no code to run yet.");
    return;
  }
  if (source.length > data.longest) {
    say(element("form-error"), `This is too much code: ${source.length} characters, and at most ${data.longest} can be run.`);
    return;
  }
  say(element("form-error"), "");
  typing = false;
  const answer = await starter.start(JOB, { source });
  if (!answer) return;
  if (!answer.ok) {
    shown.forgetEarly();
    const { fields } = answer.error;
    if (fields) say(element("form-error"), fields.source ?? Object.values(fields).join(" "));
    else shown.complain(answer.error, "The server did not answer. Press Run again: it will be one run.");
    return;
  }
  // What was typed while the server answered did not run.
  if (same(editor.text, source)) editor.follow(answer.run.id);
  const before = shown.run;
  clear();
  shown.openStarted(answer.run);
  address(answer.run.id);
  if (before && before.id !== answer.run.id) aside.watch(known.get(before.id) ?? before);
  if (window.innerWidth < ONE_COLUMN) element("log").closest("section")?.scrollIntoView({ block: "nearest" });
}

/** Esc: stop what is shown. */
function escape() {
  if (shown.run && LIVE.has(shown.run.status) && shown.run.status !== "stopping") void shown.stop();
}

/**
 * Show another run's output; its news come from there from now on.
 * @param {Run} other
 */
function show(other) {
  const before = shown.run;
  if (before?.id === other.id) return;
  aside.leave(other.id);
  clear();
  shown.open(other);
  shown.state.show(other);
  shown.reader?.watch();
  address(other.id);
  input.show({ ...other, asks: null });
  if (before) aside.watch(known.get(before.id) ?? before);
}

/** @param {string} id of a run that is shown no more: its news come from elsewhere, without a gap */
function keeps(id) {
  const run = known.get(id);
  return run !== undefined && aside.takes(run);
}

/** @param {string} text that is shown */
function read(text) {
  if (traceback.take(text)) frames.show(traceback);
}

function clear() {
  traceback.reset();
  frames.show(traceback);
}

/** @param {string} id of the run that is shown */
function address(id) {
  history.replaceState(null, "", `${data.links.job}?run=${encodeURIComponent(id)}`);
}

/** @param {Run} news of the run that is shown */
function changed(news) {
  tell(news);
  const { source } = news.params;
  if (typeof source === "string" && !editor.follows(news.id) && same(source, editor.text)) editor.follow(news.id);
  input.show(news);
  if (LIVE.has(news.status)) return;
  // Said once: beside its lines.
  if (traceback.message && news.message && traceback.message.startsWith(news.message)) say(element("message"), "");
  editor.mark(news.id, news.status === "failed" ? (traceback.lines.at(-1) ?? null) : null);
}

/** @param {Run} news of any run */
function tell(news) {
  known.set(news.id, news);
  tellAsking(shown.state.rows.put(news), news);
}

/**
 * Go to a line of the code that the shown run ran; where the editor has other code, that code comes into it.
 * @param {number} line
 */
async function goTo(line) {
  const { run: of } = shown;
  if (!of) return;
  if (!editor.follows(of.id)) await edit(of.id);
  editor.goTo(of.id, line);
}

/**
 * The code of a run, in the editor again.
 * @param {string} id
 */
async function edit(id) {
  const response = await fetch(data.links.code.replace("RUN", id)).catch(() => null);
  if (!response?.ok) {
    say(element("form-error"), "The code of this run could not be loaded. Please try again.");
    return;
  }
  replace(normal(await response.text()));
  editor.follow(id);
}

/** May the box for a line of input take the keyboard? Not from somebody who types code. */
function mayFocus() {
  return !typing || !editor.focused;
}

element("runs").addEventListener("click", (event) => {
  const link = event.target instanceof Element && event.target.closest("a");
  const id = link && link.closest("li")?.dataset.run;
  if (!id || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.dataset.again === undefined) {
    const found = known.get(id);
    if (found) show(found);
    if (window.innerWidth < ONE_COLUMN) element("log").closest("section")?.scrollIntoView({ block: "nearest" });
  } else {
    void edit(id).then(() => editor.focus());
  }
});
// Who clicks into the code is about to type there.
element("editor").addEventListener("pointerdown", () => (typing = true));
element("code-form").addEventListener("submit", (event) => {
  event.preventDefault();
  void run();
});
element("log").addEventListener("keydown", (event) => {
  if (event.key === "Escape") escape();
});
linkLines(shown.screen.terminal, (line) => void goTo(line));
localise();
for (const each of data.runs) known.set(each.id, each);
if (data.source !== null) replace(data.source);
if (data.run) {
  shown.open(data.run);
  shown.state.show(data.run);
}
for (const each of data.runs) if (each.id !== data.run?.id) aside.watch(each);
menu.update();
if (data.source !== null && data.run) address(data.run.id);
if (!data.refusal) starter.offer();
