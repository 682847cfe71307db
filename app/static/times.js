/** Times in the viewer's zone, and lengths of time in words. */

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const ORDINALS = new Intl.PluralRules("en", { type: "ordinal" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** Turn the page's times, which the server wrote in UTC, into the viewer's. */
export function localise() {
  for (const time of document.querySelectorAll("time")) show(time, new Date(time.dateTime));
}

/**
 * @param {HTMLTimeElement} time
 * @param {Date} moment
 */
export function show(time, moment) {
  const today = moment.toDateString() === new Date().toDateString();
  time.dateTime = moment.toISOString();
  time.textContent = today ? `Today, ${CLOCK.format(moment)}` : DAY.format(moment);
  time.title = FULL.format(moment);
}

/** @param {Date} moment */
export function clock(moment) {
  return CLOCK.format(moment);
}

/**
 * @param {number} seconds
 * @param {boolean} exact whether short times show parts of a second
 */
export function length(seconds, exact) {
  // A server's clock that was set back, or another one's, may have had the end before the beginning.
  const lasted = Math.max(0, seconds);
  const whole = Math.floor(lasted);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours) return `${hours} h ${two(minutes)} min`;
  if (minutes) return `${minutes} min ${two(whole % 60)} s`;
  if (exact && lasted > 0 && lasted < 1) return `${Math.ceil(lasted * 1000)} ms`;
  return exact && lasted < 10 ? `${lasted.toFixed(1)} s` : `${whole} s`;
}

/**
 * @param {number} number
 * @returns {string} as one counts: 1st, 2nd
 */
export function ordinal(number) {
  const endings = { one: "st", two: "nd", few: "rd", other: "th" };
  const kind = /** @type {keyof typeof endings} */ (ORDINALS.select(number));
  return `${number}${endings[kind]}`;
}

/** @param {number} number */
function two(number) {
  return String(number).padStart(2, "0");
}
