// The page of a person's own logins: answers to notices, sessions, passkeys, codes for another device.
import { act, makePasskey, run, say, send, usePasskey } from "./calls.js";

const main = document.querySelector("main");
const again = document.getElementById("again");
const dialog = document.getElementById("confirm");

// Show a question; resolve to whether the person confirmed it.
function confirmed(question, yes) {
  dialog.querySelector("#question").textContent = question;
  dialog.querySelector("[data-choice=yes]").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }),
  );
}
for (const button of dialog.querySelectorAll("button"))
  button.addEventListener("click", () => dialog.close(button.dataset.choice));

// Run the step of a button. After 401 or 403 the session has ended, or is too old: a new login helps.
async function step(button, work) {
  again.hidden = true;
  const error = await run(button, work);
  again.hidden = ![401, 403].includes(error?.status);
}

function showEnd(number) {
  const content = document.getElementById("ended").content.cloneNode(true);
  content.querySelector("[data-case]").textContent = number ?? "";
  content.querySelector(`[data-if="${number === null ? "case" : "no-case"}"]`).remove();
  main.replaceChildren(content);
  main.firstElementChild.scrollIntoView();
}

async function answer(notice, wasMe) {
  const question =
    "This ends all your logins at once: every session, passkey, code and program. " +
    "A case is opened, and you need a new code from your bank to log in again.";
  if (!wasMe && !(await confirmed(question, "End all my logins"))) return;
  const found = await act(`login-notices/${notice.dataset.notice}/answer`, { was_me: wasMe });
  if (!wasMe) return showEnd(found.case);
  (notice.parentElement.querySelectorAll("article").length > 1 ? notice : notice.parentElement).remove();
  say("Your answer is stored.");
}

async function endSession(item) {
  await act(`sessions/${item.dataset.session}/end`);
  item.remove();
  say("The session has ended.");
}

async function endOthers(button) {
  const { ended } = await act("sessions/end");
  for (const other of document.querySelectorAll("#sessions li:has(button)")) other.remove();
  button.remove();
  say(`Other sessions that have ended: ${ended}.`);
}

async function namePasskey(item, form) {
  const name = form.elements.name.value.trim();
  await act(`passkeys/${item.dataset.passkey}/name`, { name });
  item.querySelector("h3").firstChild.textContent = name;
  say("The name is stored.");
}

async function removePasskey(item) {
  if (!(await confirmed("Nobody can log in with this passkey again, and its sessions end.", "Remove the passkey"))) return;
  await act(`passkeys/${item.dataset.passkey}/removal`);
  location.reload(); // its sessions have ended, perhaps this one too
}

async function getCode() {
  const { code, until } = await act("login-codes");
  const shown = document.getElementById("code");
  shown.querySelector("output").textContent = code;
  shown.querySelector("[data-until]").textContent = until;
  shown.hidden = false;
}

main.addEventListener("click", ({ target: button }) => {
  const { answer: said, action } = button.dataset;
  if (said) step(button, () => answer(button.closest("article"), said === "yes"));
  if (action === "end-session") step(button, () => endSession(button.closest("li")));
  if (action === "remove-passkey") step(button, () => removePasskey(button.closest("li")));
});
main.addEventListener("submit", (event) => {
  event.preventDefault();
  step(event.submitter, () => namePasskey(event.target.closest("li"), event.target));
});

function onClick(id, work) {
  const button = document.getElementById(id);
  button?.addEventListener("click", () => step(button, () => work(button)));
}
onClick("end-others", endOthers);
onClick("add-passkey", () => makePasskey("").then(() => location.reload()));
onClick("other-device", getCode);
onClick("logout", () => send("/auth/logout").then(() => location.assign("/")));
const login = again.querySelector("button");
login.addEventListener("click", () => step(login, () => usePasskey().then(() => location.reload())));
