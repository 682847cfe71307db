/** The page's one connection, which all of its namespaces share. */
import { io } from "socket.io-client";

const RETRY_MILLISECONDS = 2_000;
let watched = false;

/** @typedef {import("socket.io-client").Socket} Socket */
/** @typedef {Error & {data?: {message?: string, reason?: string, since?: number}}} Refused why the server let nobody in */

/**
 * Connect to a namespace. It connects again and again where that is of use; a logout is told as `login_required`.
 * @param {string} path
 * @param {string} [namespace]
 * @returns {Socket}
 */
export function open(path, namespace = "/") {
  const socket = io(namespace, {
    path,
    transports: ["websocket", "polling"],
    reconnectionDelay: 300,
    reconnectionDelayMax: 3_000,
    timeout: 5_000,
  });
  socket.on("disconnect", (reason) => {
    // The server ends a connection at a logout, and as it stops; what it says to the next one tells which.
    if (reason === "io server disconnect") socket.connect();
  });
  socket.on("connect_error", (error) => {
    if (error.message !== "login_required" && !socket.active) window.setTimeout(() => socket.connect(), RETRY_MILLISECONDS);
  });
  if (!watched) {
    watched = true;
    // The browser knows at once that its network is gone; the connection itself would find out by its next heartbeat.
    window.addEventListener("offline", () => socket.io.engine.close());
  }
  return socket;
}
