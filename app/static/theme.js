/** The terminal's colours, for light and dark surroundings. */

/** @type {import("@xterm/xterm").ITheme} */
const LIGHT = {
  background: "#ffffff",
  foreground: "#1c2129",
  cursor: "#ffffff00",
  selectionBackground: "#bcd0ff",
  scrollbarSliderBackground: "#1c212930",
  scrollbarSliderHoverBackground: "#1c212950",
  scrollbarSliderActiveBackground: "#1c212970",
  overviewRulerBorder: "#ffffff00",
  black: "#1c2129", red: "#b3261e", green: "#17723b", yellow: "#875400",
  blue: "#2450c8", magenta: "#8e2fa3", cyan: "#0d6f80", white: "#6b7280",
  brightBlack: "#59616e", brightRed: "#c93a30", brightGreen: "#1f8748", brightYellow: "#9a6400",
  brightBlue: "#3d69e0", brightMagenta: "#a646bb", brightCyan: "#138296", brightWhite: "#3c444f",
};

/** @type {import("@xterm/xterm").ITheme} */
const DARK = {
  background: "#161a21",
  foreground: "#dfe4ec",
  cursor: "#161a2100",
  selectionBackground: "#34477a",
  scrollbarSliderBackground: "#ffffff26",
  scrollbarSliderHoverBackground: "#ffffff40",
  scrollbarSliderActiveBackground: "#ffffff59",
  overviewRulerBorder: "#161a2100",
  black: "#465061", red: "#ff8f85", green: "#62c98a", yellow: "#ebb563",
  blue: "#86a8ff", magenta: "#d79bea", cyan: "#64c7d6", white: "#c9d0da",
  brightBlack: "#7d899a", brightRed: "#ffaaa2", brightGreen: "#86dca7", brightYellow: "#f5cb86",
  brightBlue: "#a9c1ff", brightMagenta: "#e6b8f4", brightCyan: "#8adce8", brightWhite: "#ffffff",
};

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** @param {import("@xterm/xterm").Terminal} terminal */
export function followTheme(terminal) {
  const choose = () => {
    terminal.options.theme = dark.matches ? DARK : LIGHT;
  };
  dark.addEventListener("change", choose);
  choose();
}
