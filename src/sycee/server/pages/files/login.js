// The page on which persons log in, or set up a login with the two halves of a code.
import { makePasskey, run, send, usePasskey } from "./calls.js";

const DONE = "/login/done"; // leads to the notices that wait, or to the start page
const WRONG_CODE =
  "The code is not valid. Check both halves. It may be used, over or ended, or begin later: ask your bank.";
const setup = document.getElementById("setup");

// Return the whole code of both fields; throw if a half is missing or has another number of letters.
function wholeCode() {
  const half = Number(setup.dataset.halfLetters);
  const [first, second] = [setup.first, setup.second].map((field) => field.value.replace(/[\s-]/g, ""));
  if (!second && first.length === 2 * half) return first;
  if (first.length !== half)
    throw new Error(`The first half has ${half} letters and digits; you typed ${first.length}. Check it.`);
  if (!second) throw new Error("The second half is missing: it is in the message to your phone.");
  if (second.length !== half)
    throw new Error(`The second half has ${half} letters and digits; you typed ${second.length}. Check it.`);
  return first + second;
}

async function useProvider(provider, invitation) {
  const found = await send(`/auth/oidc/${encodeURIComponent(provider)}/login`, { invitation });
  location.assign(found.location);
}

async function setUp(provider) {
  const code = wholeCode();
  if (provider) return useProvider(provider, code);
  await makePasskey(code);
  location.assign(DONE);
}

const login = document.getElementById("login");
const UNKNOWN = "This passkey is not known here, or was ended. Set up a login with a code from your bank.";
login.addEventListener("click", () => run(login, () => usePasskey().then(() => location.assign(DONE)), { 401: UNKNOWN }));
for (const button of document.querySelectorAll("button[data-provider]"))
  button.addEventListener("click", () => run(button, () => useProvider(button.dataset.provider, "")));
setup.addEventListener("submit", (event) => {
  event.preventDefault();
  run(event.submitter, () => setUp(event.submitter.value), { 401: WRONG_CODE });
});
