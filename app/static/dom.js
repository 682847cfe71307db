/**
 * The element with this id; the templates promise that it is there.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function elementOf(id, kind) {
  const found = element(id);
  if (!(found instanceof kind)) throw new Error(`#${id} is no ${kind.name}`);
  return found;
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T | null}
 */
export function elementIfAny(id, kind) {
  const found = document.getElementById(id);
  return found instanceof kind ? found : null;
}

/**
 * Show a text, or hide the element where there is none.
 * @param {HTMLElement} target
 * @param {string} text
 */
export function say(target, text) {
  target.textContent = text;
  target.hidden = !text;
}
