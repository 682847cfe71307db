/** The page's socket for runs, and what the page says about it. */
import { open } from "./socket.js";
import { element } from "./dom.js";
import { clock } from "./times.js";

/**
 * @param {string} path
 * @param {() => void} loggedOut
 */
export function connect(path, loggedOut) {
  const socket = open(path);
  /** @type {Date | null} */
  let since = null;
  const lost = () => {
    since ??= new Date();
    say("lost", `Reconnecting since ${clock(since)}`);
  };
  socket.on("connect", () => {
    since = null;
    say("connected", "Connected");
  });
  socket.on("disconnect", lost);
  socket.on("connect_error", (error) => {
    if (error.message === "login_required") {
      say("ended", "Logged out");
      loggedOut();
    } else {
      lost();
      // A limit: the server's sentence says what to do, and as soon as it is done the page connects.
      const { data } = /** @type {import("./socket.js").Refused} */ (error);
      if (error.message === "too_many" && data?.message) say("lost", data.message);
    }
  });
  return socket;
}

/**
 * @param {string} state
 * @param {string} text
 */
function say(state, text) {
  const place = element("connection");
  if (place.textContent === text) return;
  place.dataset.connection = state;
  place.textContent = text;
}
