/**
 * The terminal makes style elements and style attributes, which the page's Content-Security-Policy refuses as they come:
 * the elements are given the page's nonce, and the attributes are set as properties, which the policy allows.
 */
export function styleByTheRules() {
  const nonce = pageNonce();
  const create = document.createElement.bind(document);
  document.createElement = /** @type {typeof document.createElement} */ (
    /** @param {string} name @param {ElementCreationOptions} [options] */
    (name, options) => {
      const made = create(name, options);
      if (made instanceof HTMLStyleElement) made.nonce = nonce;
      return made;
    }
  );
  HTMLSpanElement.prototype.setAttribute = function (name, value) {
    if (name === "style") this.style.cssText = value;
    else Element.prototype.setAttribute.call(this, name, value);
  };
}

/** The nonce that this page's Content-Security-Policy allows. */
export function pageNonce() {
  return document.querySelector("script")?.nonce ?? "";
}
