/** The list of jobs: find by words. */
import { elementIfAny } from "./dom.js";
import { localise } from "./times.js";

const filter = elementIfAny("filter", HTMLInputElement);
const none = elementIfAny("no-match", HTMLElement);
const items = [...document.querySelectorAll("#jobs > li")].filter((item) => item instanceof HTMLElement);

function narrow() {
  const words = (filter?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  for (const item of items) {
    const text = (item.textContent ?? "").toLowerCase();
    item.hidden = !words.every((word) => text.includes(word));
  }
  if (none) none.hidden = items.some((item) => !item.hidden);
}

localise();
filter?.addEventListener("input", narrow);
narrow();
