/** What the page says while nothing can be stored. */
import { element, say } from "./dom.js";
import { clock } from "./times.js";

// The server speaks up soon after a connection is there, where something is still the matter.
const PATIENCE_MILLISECONDS = 1_000;
const KEPT = "What is printed is kept and will be stored.";

/** @typedef {import("./contract.js").Storage} Storage */

/** @param {Storage} storage */
export function showStorage(storage) {
  const place = element("storage");
  const since = clock(storage.since ? new Date(storage.since * 1000) : new Date());
  const what = storage.available ? `Since ${since}:` : `Storage unavailable since ${since}:`;
  const text = storage.reason && `${what} ${storage.reason} ${KEPT}`;
  if (place.textContent !== text) say(place, text);
}

/** @param {import("socket.io-client").Socket} socket */
export function watchStorage(socket) {
  let timer = 0;
  /** @param {Storage} storage */
  const show = (storage) => {
    window.clearTimeout(timer);
    showStorage(storage);
  };
  socket.on("storage", show);
  socket.on("connect", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => say(element("storage"), ""), PATIENCE_MILLISECONDS);
  });
  socket.on("connect_error", (error) => {
    const data = /** @type {Error & {data?: Storage}} */ (error).data;
    if (error.message === "store_unavailable" && data) show({ ...data, available: false });
  });
}
