/** The search box of the terminal. */
import { element, elementOf } from "./dom.js";

/** @param {import("./screen.js").Screen} screen */
export function prepareSearch(screen) {
  const box = elementOf("search", HTMLFormElement);
  const query = elementOf("query", HTMLInputElement);
  const button = element("find");
  const open = () => {
    box.hidden = false;
    button.setAttribute("aria-expanded", "true");
    query.focus();
    query.select();
  };
  const close = () => {
    box.hidden = true;
    button.setAttribute("aria-expanded", "false");
    screen.find("", "typed");
    button.focus();
  };
  button.addEventListener("click", () => (box.hidden ? open() : close()));
  element("close-search").addEventListener("click", close);
  element("previous").addEventListener("click", () => screen.find(query.value, "previous"));
  query.addEventListener("input", () => screen.find(query.value, "typed"));
  box.addEventListener("submit", (event) => {
    event.preventDefault();
    screen.find(query.value, "next");
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      screen.find(query.value, "previous");
    }
  });
  screen.searcher.onDidChangeResults(({ resultIndex, resultCount }) => {
    const found = resultIndex < 0 ? `${resultCount}+ matches` : `${resultIndex + 1} of ${resultCount}`;
    element("matches").textContent = query.value ? (resultCount ? found : "None in what is kept here") : "";
  });
  return open;
}
