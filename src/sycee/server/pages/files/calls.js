// Requests of the login pages, and the two steps with a passkey. No key and no code is stored in the browser.
const outcome = document.getElementById("outcome");

export class Refused extends Error {
  constructor(status, { detail, hint }) {
    const first = detail || "the server refused";
    super(`${first[0].toUpperCase()}${first.slice(1)}${hint ? `: ${hint}` : ""}.`);
    this.status = status;
  }
}

export async function send(path, members) {
  const answer = await fetch(path, {
    method: "POST",
    headers: members === undefined ? {} : { "content-type": "application/json" },
    body: members === undefined ? undefined : JSON.stringify(members),
  });
  if (answer.status === 204) return null;
  const found = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, found);
  return found;
}

// An action has an id, so that the server does a repeated one once.
export const act = (path, members = {}) => send(`/v1/me/${path}`, { id: crypto.randomUUID(), ...members });

export function say(text) {
  outcome.textContent = text;
  if (text) outcome.scrollIntoView({ block: "nearest" });
}

const WORDS = {
  NotAllowedError: "Nothing was done: no passkey was chosen, or the time was over.",
  InvalidStateError: "This device has a passkey of yours already: log in with it.",
};

// Run a step of a button. `words`: of refusals, by status, where the page can say more than the server.
export async function run(button, step, words = {}) {
  say("");
  button.disabled = true;
  try {
    await step();
  } catch (error) {
    say(words[error.status] ?? WORDS[error.name] ?? error.message);
    return error;
  } finally {
    button.disabled = false;
  }
}

function requirePasskeys() {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON)
    throw new Error("This browser has no passkeys, or is too old, or the address is neither https nor localhost.");
}

export async function usePasskey() {
  requirePasskeys();
  const { publicKey } = await send("/auth/passkeys/login/options");
  const credential = await navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey),
  });
  await send("/auth/passkeys/login", { credential: credential.toJSON() });
}

// `invitation`: "" adds a passkey in a session.
export async function makePasskey(invitation) {
  requirePasskeys();
  const { publicKey } = await send("/auth/passkeys/registration/options", { invitation });
  const credential = await navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey),
  });
  await send("/auth/passkeys/registration", { credential: credential.toJSON() });
}
