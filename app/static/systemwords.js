/** The state of the system in words. */
import { clock } from "./times.js";

/** @typedef {import("./contract.js").System} System */
/** @typedef {import("./contract.js").Numbers} Numbers */

/**
 * @param {number} number
 * @param {string} one
 */
export function count(number, one) {
  return `${number || "no"} ${one}${number === 1 ? "" : "s"}`;
}

/**
 * @param {Numbers | null} numbers
 * @returns {string} such as "2 running, 1 waiting, 1 runner"
 */
export function summary(numbers) {
  if (!numbers) return "Nothing known yet";
  const parts = [`${numbers.running} running`];
  if (numbers.waiting) parts.push(`${numbers.waiting} waiting`);
  parts.push(count(numbers.runners, "runner"));
  if (numbers.workers) parts.push(count(numbers.workers, "worker"));
  return parts.join(", ");
}

/**
 * @param {System} system
 * @returns {[string, string][]} names and values
 */
export function table(system) {
  const { numbers, storage } = system;
  /** @type {[string, string][]} */
  const rows = [];
  if (numbers) {
    rows.push(["Runs under way", String(numbers.running)], ["Runs waiting", String(numbers.waiting)]);
    for (const [queue, length] of Object.entries(numbers.queues)) rows.push([`in the queue ${queue}`, String(length)]);
    rows.push(["Runners", String(numbers.runners)], ["Celery workers", String(numbers.workers)]);
    rows.push(["Web servers", String(numbers.nodes)]);
  }
  rows.push(["Storage", storage.reason || "well"], ["As of", clock(new Date(system.time * 1000))]);
  return rows;
}
