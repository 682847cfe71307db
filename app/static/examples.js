/** The examples' page: views that greet it over its websocket, and what it answers. */
import { connect } from "./connection.js";
import { element, elementOf } from "./dom.js";

/** @type {{event: string, socket: string, login: string}} */
const data = JSON.parse(element("data").textContent ?? "");
const said = elementOf("said", HTMLInputElement);
const greetings = element("greetings");
const answer = element("answer");
const buttons = [...document.querySelectorAll("button[data-view]")].filter((each) => each instanceof HTMLButtonElement);

const socket = connect(data.socket, () => window.location.assign(data.login));
socket.on(data.event, (/** @type {{data: string}} */ message, /** @type {(text: string) => void} */ reply) => {
  const item = document.createElement("li");
  item.textContent = message.data;
  greetings.append(item);
  reply(said.value);
});

/** @param {HTMLButtonElement} button */
async function ask(button) {
  greetings.replaceChildren();
  answer.textContent = "";
  const address = `${button.dataset.view ?? ""}?socket=${encodeURIComponent(socket.id ?? "")}`;
  try {
    const response = await fetch(address);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) answer.append(part.value);
  } catch {
    answer.textContent = "The server does not answer.";
  }
}

/** @param {boolean} open */
function allow(open) {
  for (const each of buttons) each.disabled = !open;
}

socket.on("connect", () => allow(true));
socket.on("disconnect", () => allow(false));
for (const button of buttons) {
  button.addEventListener("click", async () => {
    allow(false);
    await ask(button);
    allow(socket.connected);
  });
}
