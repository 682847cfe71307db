/** The example of a state push: `message` has the time, which is shown as text, whatever is in it. */
import { open } from "./socket.js";
import { element, elementOf } from "./dom.js";

const MOST_RESPONSES = 5;
const data = /** @type {{path: string}} */ (JSON.parse(element("data").textContent ?? ""));
const socket = open(data.path, "/test");
const button = elementOf("send", HTMLButtonElement);
const responses = element("responses");

socket.on("connect", () => (button.disabled = false));
socket.on("disconnect", () => (button.disabled = true));
socket.on("message", (/** @type {{data: string, time: string}} */ message) => {
  element("test").textContent = message.time;
});
socket.on("my response", (/** @type {{data: string, count: number}} */ response) => {
  const item = document.createElement("li");
  item.textContent = `${response.count}: ${response.data}`;
  responses.append(item);
  while (responses.children.length > MOST_RESPONSES) responses.firstElementChild?.remove();
});
button.addEventListener("click", () => socket.emit("my event", { data: "I'm connected!" }));
