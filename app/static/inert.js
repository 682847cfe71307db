/**
 * Output is shown and does nothing else: sequences by which a program would reach out of the terminal's cells are taken
 * off here. (Titles, links and the clipboard by OSC; the mouse, focus and paste modes by CSI ? h, which would take the
 * viewer's own mouse away.)
 */
const OSC = [0, 1, 2, 4, 7, 8, 9, 10, 11, 12, 52, 104, 110, 111, 112, 133, 633, 777, 1337];
const MODES = new Set([9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004]);

/** @param {import("@xterm/xterm").Terminal} terminal */
export function makeInert(terminal) {
  for (const code of OSC) terminal.parser.registerOscHandler(code, () => true);
  terminal.parser.registerCsiHandler({ prefix: "?", final: "h" }, (params) =>
    params.some((each) => typeof each === "number" && MODES.has(each)),
  );
}
