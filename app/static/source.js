/** Small questions about code. */

/**
 * Is it the same code, whatever ends its lines?
 * @param {string} one
 * @param {string} other
 */
export function same(one, other) {
  return normal(one) === normal(other);
}

/** @param {string} source */
export function normal(source) {
  return source.replace(/\r\n?/g, "\n");
}

/**
 * The line by which one knows the code again: the first that says something.
 * @param {string} source
 */
export function firstLine(source) {
  const lines = source.split("\n").map((line) => line.trim());
  return (lines.find((line) => line && !line.startsWith("#")) ?? lines.find(Boolean) ?? "").slice(0, 120);
}
