/** The page's one connection, and what it says about it. */
import { io } from "socket.io-client";
import { element } from "./dom.js";
import { clock } from "./times.js";

const RETRY_MILLISECONDS = 2_000;

/**
 * @param {string} path
 * @param {() => void} loggedOut
 */
export function connect(path, loggedOut) {
  const socket = io({
    path,
    transports: ["websocket", "polling"],
    reconnectionDelay: 300,
    reconnectionDelayMax: 3_000,
    timeout: 5_000,
  });
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
  socket.on("disconnect", (reason) => {
    lost();
    // The server ends a connection at a logout, and as it stops; what it says to the next one tells which.
    if (reason === "io server disconnect") socket.connect();
  });
  socket.on("connect_error", (error) => {
    if (error.message === "login_required") {
      say("ended", "Logged out");
      loggedOut();
    } else {
      lost();
      // A limit: the server's sentence says what to do, and as soon as it is done the page connects.
      const { data } = /** @type {Error & {data?: {message?: string}}} */ (error);
      if (error.message === "too_many" && data?.message) say("lost", data.message);
      if (!socket.active) window.setTimeout(() => socket.connect(), RETRY_MILLISECONDS);
    }
  });
  // The browser knows at once that its network is gone; the connection itself would find out by its next heartbeat.
  window.addEventListener("offline", () => socket.io.engine.close());
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
