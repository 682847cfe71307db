/** Menus: native disclosures, which close as menus do; the menu of downloads. */
import { element, elementOf } from "./dom.js";

/**
 * @returns {(address: string) => void} leads the menu's links to a run's output
 */
export function prepareDownloads() {
  const menu = elementOf("downloads", HTMLDetailsElement);
  closeAsMenusDo(menu);
  for (const link of menu.querySelectorAll("a")) link.addEventListener("click", () => (menu.open = false));
  return (address) => {
    for (const link of menu.querySelectorAll("a")) link.href = address + (link.dataset.query ?? "");
    element("downloads").hidden = false;
  };
}

/** @param {HTMLDetailsElement} menu */
export function closeAsMenusDo(menu) {
  const summary = menu.querySelector("summary");
  document.addEventListener("click", (event) => {
    if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget instanceof Node && !menu.contains(event.relatedTarget)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    summary?.focus();
  });
}
