/** The page of a job or of a run: the form and its Start, and the run that is shown. */
import { LIVE } from "./contract.js";
import { element, elementIfAny } from "./dom.js";
import { JobForm } from "./form.js";
import { Shown } from "./shown.js";
import { Starter } from "./starting.js";
import { localise } from "./times.js";

// Narrower than this (as in console.css), the terminal stands below the form.
const ONE_COLUMN = 960;

/** @typedef {import("./contract.js").Run} Run */

/** @type {import("./contract.js").PageData} */
const data = JSON.parse(element("data").textContent ?? "");
const start = elementIfAny("start", HTMLButtonElement);
const jobForm = elementIfAny("job-form", HTMLFormElement);
const form = jobForm && new JobForm(jobForm, element("form-error"));

const shown = new Shown(data, { changed: offerStart, awaited: () => starter.starting });
const starter = new Starter(start, (event, message) => shown.ask(event, message));

/**
 * A second run beside one under way is possible, but not by a double click.
 * @param {Run | null} run
 */
function offerStart(run) {
  const word = start?.querySelector(".word");
  if (word) word.textContent = run && LIVE.has(run.status) ? "Start another" : "Start";
  starter.offer();
}

async function startRun() {
  const params = starter.ready && form?.read();
  const answer = params && (await starter.start(data.job, params));
  if (!answer) return;
  if (!answer.ok) {
    shown.forgetEarly();
    if (answer.error.fields) form?.complain(answer.error.fields);
    else shown.complain(answer.error, "The server did not answer. Press Start again: it will be one run.");
    return;
  }
  history.replaceState(null, "", `${data.links.job}?run=${encodeURIComponent(answer.run.id)}`);
  shown.openStarted(answer.run);
  if (window.innerWidth < ONE_COLUMN) element("log").closest("section")?.scrollIntoView({ block: "nearest" });
}

jobForm?.addEventListener("submit", (event) => {
  event.preventDefault();
  void startRun();
});
localise();
if (data.run) {
  shown.open(data.run);
  shown.state.show(data.run);
}
offerStart(data.run);
