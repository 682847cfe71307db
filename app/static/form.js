/** A job's form: its values for the server, and the server's complaints beside their fields. */
import { say } from "./dom.js";

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Input */

export class JobForm {
  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} general where complaints go that belong to no field
   */
  constructor(form, general) {
    this.general = general;
    this.fields = [...form.querySelectorAll(".field")].filter((each) => each instanceof HTMLElement);
    for (const field of this.fields) {
      field.addEventListener("input", () => this.#clear(field));
      if (field.dataset.kind === "list") prepareList(field, () => this.#clear(field));
    }
    for (const input of inputs(form)) showMoment(input);
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
  }

  /**
   * The values by name, as text where the server knows better than the browser how to read it; what is required and
   * empty is left out. Null where an input holds what its kind cannot be, which is then said beside it.
   * @returns {Record<string, unknown> | null}
   */
  read() {
    this.complain({});
    const unreadable = this.fields.filter((field) => inputs(field).some((input) => input.validity.badInput));
    if (unreadable.length) {
      this.complain(Object.fromEntries(unreadable.map((field) => [field.dataset.field, "This is not complete, or no number."])));
      return null;
    }
    const given = this.fields.filter((field) => !inputs(field).some((input) => input.required && !input.value));
    return Object.fromEntries(given.map((field) => [field.dataset.field, valueOf(field)]));
  }

  /** @param {Record<string, string>} complaints by name; the first wrong field gets the focus */
  complain(complaints) {
    const rest = { ...complaints };
    /** @type {HTMLElement | null} */
    let first = null;
    for (const field of this.fields) {
      const name = field.dataset.field ?? "";
      const text = rest[name] ?? "";
      delete rest[name];
      this.#clear(field);
      const wrong = text ? mark(field, text) : null;
      first ??= wrong;
    }
    say(this.general, Object.entries(rest).map(([name, text]) => `${name}: ${text}`).join(" "));
    first?.focus();
  }

  /** @param {HTMLElement} field */
  #clear(field) {
    for (const input of inputs(field)) input.removeAttribute("aria-invalid");
    say(complaintOf(field), "");
  }
}

/**
 * @param {HTMLElement} holder
 * @returns {Input[]}
 */
function inputs(holder) {
  return /** @type {Input[]} */ ([...holder.querySelectorAll("input, select, textarea")]);
}

/** @param {HTMLElement} field */
function complaintOf(field) {
  const found = field.querySelector(":scope > .wrong");
  if (!(found instanceof HTMLElement)) throw new Error("a field has no place for its complaint");
  return found;
}

/**
 * @param {HTMLElement} field
 * @param {string} text "Item 2: ..." belongs to one entry of a list
 * @returns {HTMLElement | null}
 */
function mark(field, text) {
  say(complaintOf(field), text);
  const all = inputs(field);
  const entry = all[Number(/^Item (\d+): /.exec(text)?.[1]) - 1];
  const wrong = entry ? [entry] : all;
  for (const input of wrong) input.setAttribute("aria-invalid", "true");
  return wrong[0] ?? field.querySelector("button");
}

/** @param {HTMLElement} field */
function valueOf(field) {
  const values = inputs(field).map(convert);
  if (field.dataset.kind !== "list") return values[0];
  return values.length || field.dataset.optional === undefined ? values : null;
}

/**
 * @param {Input} input
 * @returns {unknown}
 */
function convert(input) {
  if (input.dataset.kind === "boolean") return input instanceof HTMLInputElement && input.checked;
  if (input.dataset.kind === "choice") return input.value ? JSON.parse(input.value) : "";
  if (input.dataset.moment && input.value) return new Date(input.value).toISOString();
  return input.value;
}

/**
 * A time with a zone is shown, and written, in the viewer's own.
 * @param {Input} input
 */
function showMoment(input) {
  if (!input.dataset.moment) return;
  const moment = new Date(input.dataset.moment);
  const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  input.value = local.toISOString().slice(0, 19);
}

/**
 * @param {HTMLElement} field
 * @param {() => void} changed
 */
function prepareList(field, changed) {
  const list = field.querySelector(".items");
  const template = field.querySelector("template");
  const add = field.querySelector("[data-add]");
  if (!list || !template || !(add instanceof HTMLButtonElement)) throw new Error("a list lacks its parts");
  const number = () => {
    inputs(field).forEach((input, index) => {
      input.id = `${add.id}-${index}`;
      input.setAttribute("aria-label", `Entry ${index + 1}`);
    });
  };
  add.addEventListener("click", () => {
    list.append(template.content.cloneNode(true));
    number();
    changed();
    inputs(field).at(-1)?.focus();
  });
  field.addEventListener("click", (event) => {
    const remove = event.target instanceof Element && event.target.closest("[data-remove]");
    if (!remove) return;
    remove.closest("li")?.remove();
    number();
    changed();
    add.focus();
  });
  number();
}
