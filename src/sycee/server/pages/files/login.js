// Passkeys and providers of the login page. No key and no code is stored in the browser.
const outcome = document.getElementById("outcome");

async function send(path, members) {
  const answer = await fetch(path, {
    method: "POST",
    headers: members === undefined ? {} : { "content-type": "application/json" },
    body: members === undefined ? undefined : JSON.stringify(members),
  });
  if (answer.status === 204) return null;
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail || "the server refused");
  return found;
}

async function run(button, step) {
  outcome.textContent = "";
  button.disabled = true;
  try {
    await step();
  } catch (error) {
    outcome.textContent =
      error.name === "NotAllowedError" ? "Nothing was done: no passkey was chosen, or the time was over." : error.message;
  } finally {
    button.disabled = false;
  }
}

function requirePasskeys() {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON)
    throw new Error("This browser has no passkeys, or is too old, or the address is neither https nor localhost.");
}

async function logIn() {
  requirePasskeys();
  const { publicKey } = await send("/auth/passkeys/login/options");
  const credential = await navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey),
  });
  await send("/auth/passkeys/login", { credential: credential.toJSON() });
  location.assign("/");
}

async function setUp(invitation) {
  requirePasskeys();
  const { publicKey } = await send("/auth/passkeys/registration/options", { invitation });
  const credential = await navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey),
  });
  await send("/auth/passkeys/registration", { credential: credential.toJSON() });
  location.assign("/");
}

async function useProvider(provider, invitation) {
  const found = await send(`/auth/oidc/${encodeURIComponent(provider)}/login`, { invitation });
  location.assign(found.location);
}

async function logOut() {
  await send("/auth/logout");
  location.assign("/");
}

const login = document.getElementById("login");
login?.addEventListener("click", () => run(login, logIn));
const logout = document.getElementById("logout");
logout?.addEventListener("click", () => run(logout, logOut));
for (const button of document.querySelectorAll("button[data-provider]"))
  button.addEventListener("click", () => run(button, () => useProvider(button.dataset.provider, "")));
const setup = document.getElementById("setup");
setup.addEventListener("submit", (event) => {
  event.preventDefault();
  const provider = event.submitter.value;
  const code = setup.code.value.trim();
  run(event.submitter, () => (provider ? useProvider(provider, code) : setUp(code)));
});
