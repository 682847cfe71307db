/**
 * Opens a plain websocket, logs each message that comes, and answers it, until the server closes.
 *
 *     TOKEN=frt_... node websocket_connect.js [URL]
 *
 * URL is that of a view of docs/middleware.md, http://localhost:5000/examples/streamed by itself. The package `ws` comes
 * by `npm ci` in this folder. The exit code is 0 where the server has closed well, else 1.
 */
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const url = new URL(process.argv[2] ?? "http://localhost:5000/examples/streamed");
url.protocol = url.protocol.replace("http", "ws");
const GOOD = 1000;

/** The package, as `npm ci` or the set-up of the development tools has installed it. */
async function load() {
  const prepared = fileURLToPath(new URL("node_modules/.page/node_modules/ws/wrapper.mjs", import.meta.url));
  for (const place of ["ws", pathToFileURL(prepared).href]) {
    try {
      return (await import(place)).default;
    } catch (error) {
      if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    }
  }
  console.error("The package ws is missing: run `npm ci` in the folder of this script.");
  return process.exit(1);
}

const WebSocket = await load();
const token = process.env.TOKEN;
const socket = new WebSocket(url, token ? { headers: { Authorization: `Bearer ${token}` } } : {});
let number = 0;
socket.on("open", () => console.log(`connected to ${url}`));
socket.on("message", (data) => {
  number += 1;
  console.log(String(data));
  socket.send(`Answer ${number} from node`);
});
socket.on("unexpected-response", (_request, response) => {
  let text = "";
  response.on("data", (part) => (text += part));
  response.on("end", () => {
    console.error(`refused: ${response.statusCode} ${text}`);
    process.exitCode = 1;
  });
});
socket.on("error", (error) => {
  console.error(error.message || error.code);
  process.exitCode = 1;
});
socket.on("close", (code, reason) => {
  console.log(`closed: ${code}${reason.length ? ` ${reason}` : ""}`);
  if (code !== GOOD) process.exitCode = 1;
});
