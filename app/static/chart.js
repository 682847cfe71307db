/** A small chart of what a number was in the last minutes: steps, since a value holds until the next one. */

export const MINUTES = 5;
const SPAN = MINUTES * 60_000;
const [WIDTH, HEIGHT, MARGIN] = [300, 60, 4];
// Changes that come faster than this are one step of the line: it has no more pixels.
const FINEST = SPAN / WIDTH / 2;

/** @typedef {{time: number, value: number | null}} Point in milliseconds; null: from then on nothing is known */

export class Chart {
  /** @type {Point[]} */
  #points = [];
  #line;
  #area;

  /** @param {SVGElement} svg with a path and a polyline */
  constructor(svg) {
    this.svg = svg;
    this.#line = /** @type {SVGPolylineElement} */ (svg.querySelector("polyline"));
    this.#area = /** @type {SVGPathElement} */ (svg.querySelector("path"));
  }

  /**
   * @param {number} time
   * @param {number | null} value
   */
  add(time, value) {
    const last = this.#points.at(-1);
    const before = this.#points.at(-2);
    // The extremes stay: only what lies between two others on its way is left out.
    if (last && before && time - before.time < FINEST && between(before.value, last.value, value)) this.#points.pop();
    this.#points.push({ time, value });
  }

  /**
   * @param {number} now
   * @returns {{low: number, high: number} | null} what it was in these minutes; null where it was no number
   */
  draw(now) {
    const begin = now - SPAN;
    while (this.#points[1] && this.#points[1].time < begin) this.#points.shift();
    const values = this.#points.flatMap(({ value }) => (value === null ? [] : [value]));
    if (!values.length) {
      this.#line.setAttribute("points", "");
      this.#area.setAttribute("d", "");
      return null;
    }
    const low = Math.min(...values);
    const high = Math.max(...values);
    const steps = this.#steps(begin, now, low, high);
    this.#line.setAttribute("points", steps.map((step) => step.join(",")).join(" "));
    const [first, last] = [steps[0]?.[0] ?? 0, steps.at(-1)?.[0] ?? 0];
    const top = steps.map((step) => `L${step.join(" ")}`).join("");
    this.#area.setAttribute("d", `M${first} ${HEIGHT}${top}L${last} ${HEIGHT}Z`);
    return { low, high };
  }

  /**
   * @param {number} begin
   * @param {number} now
   * @param {number} low
   * @param {number} high
   * @returns {[number, number][]}
   */
  #steps(begin, now, low, high) {
    const scale = (HEIGHT - 2 * MARGIN) / (high - low || 1);
    /** @type {[number, number][]} */
    const found = [];
    let level = 0;
    for (const { time, value } of this.#points) {
      const x = round((Math.max(0, time - begin) / SPAN) * WIDTH);
      if (found.length) found.push([x, level]);
      if (value !== null) {
        level = high === low ? HEIGHT / 2 : round(HEIGHT - MARGIN - (value - low) * scale);
        found.push([x, level]);
      }
    }
    found.push([round(((now - begin) / SPAN) * WIDTH), level]);
    return found;
  }
}

/**
 * @param {number | null} first
 * @param {number | null} middle
 * @param {number | null} last
 */
function between(first, middle, last) {
  if (first === null || middle === null || last === null) return false;
  return (first <= middle && middle <= last) || (first >= middle && middle >= last);
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}
