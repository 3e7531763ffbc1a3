// Passkeys: a form with data-passkey asks the devices before it is sent, and
// sends along what they signed. Without this file, and in browsers that cannot
// do it, such a form stays hidden.
//
//   data-passkey      "get" to sign with a passkey, "create" to make one
//   data-options      where to ask what the devices shall sign
//   data-conditional  passkeys are also offered where the address is typed

const again = 270000; // ms; challenges live for five minutes

export function passkeys() {
  const able = window.PublicKeyCredential && window.isSecureContext && navigator.credentials;
  for (const note of document.querySelectorAll("[data-passkey-scriptless]")) note.hidden = true;
  for (const note of document.querySelectorAll("[data-passkey-without]")) note.hidden = Boolean(able);
  if (!able) return;
  for (const form of document.querySelectorAll("form[data-passkey]")) prepare(form);
  tell();
}

function prepare(form) {
  let waiting = null; // what the browser offers while an address is typed
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.passkey.value) return; // signed: send it
    event.preventDefault();
    event.stopPropagation();
    if (form.dataset.asking !== undefined) return;
    form.dataset.asking = "";
    waiting?.abort();
    const button = event.submitter ?? form.querySelector("button");
    button.setAttribute("aria-disabled", "true");
    say(form, "");
    try {
      send(form, await ask(form, {}), button);
    } catch (error) {
      complain(form, error);
    } finally {
      delete form.dataset.asking;
      if (!form.elements.passkey.value) button.removeAttribute("aria-disabled");
    }
  });
  const offered = () => form.dataset.conditional !== undefined && offer(form, (controller) => { waiting = controller; });
  addEventListener("pagehide", () => waiting?.abort());
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    form.elements.passkey.value = "";
    offered();
  });
  offered();
}

// offer shows passkeys among what the browser fills in, for as long as the page
// stands: a challenge that grows old is replaced.
async function offer(form, hand) {
  if (!await window.PublicKeyCredential.isConditionalMediationAvailable?.()) return;
  for (;;) {
    const controller = new AbortController();
    hand(controller);
    let old = false;
    const timer = setTimeout(() => { old = true; controller.abort(); }, again);
    try {
      send(form, await ask(form, { mediation: "conditional", signal: controller.signal }), form.querySelector("button"));
      return;
    } catch {
      if (!old) return; // the button was pressed, or nothing was chosen
    } finally {
      clearTimeout(timer);
    }
  }
}

// Refused is an answer of the service that is no challenge.
class Refused extends Error {}

async function ask(form, how) {
  const response = await fetch(form.dataset.options, { method: "POST", headers: { Accept: "application/json" } });
  if (!response.ok) {
    if (response.status === 401 && form.dataset.passkey === "create") location.reload(); // asks who it is first
    const problem = await response.json().catch(() => ({}));
    throw new Refused(problem.detail ?? problem.title ?? "");
  }
  const { publicKey } = await response.json();
  const credentials = navigator.credentials;
  form.dataset.asked = how.mediation ?? "now"; // the device has it from here on
  return form.dataset.passkey === "create"
    ? credentials.create({ publicKey: creation(publicKey), ...how })
    : credentials.get({ publicKey: request(publicKey), ...how });
}

function send(form, credential, button) {
  form.elements.passkey.value = JSON.stringify(written(credential));
  form.requestSubmit(button);
}

function complain(form, error) {
  if (error instanceof Refused && error.message) return say(form, error.message);
  const text = (when) => form.querySelector(`[data-passkey-texts] [data-when="${when}"]`)?.textContent;
  const name = error instanceof TypeError ? "network" : error?.name;
  say(form, (/^\w+$/.test(name ?? "") && text(name)) || text("other"));
}

function say(form, sentence) {
  const place = form.querySelector("[data-passkey-says]");
  place.textContent = sentence;
  place.hidden = !sentence;
}

// tell lets the devices know which passkeys exist and what the account is
// called (WebAuthn Level 3, 5.1.10). Where a browser does not pass it on,
// nothing is lost.
function tell() {
  const api = window.PublicKeyCredential;
  const quietly = async (name, what) => { try { await api[name]?.(what); } catch { /* the device keeps what it has */ } };
  const gone = document.querySelector("[data-passkey-unknown]");
  if (gone) quietly("signalUnknownCredential", { rpId: gone.dataset.rp, credentialId: gone.dataset.passkeyUnknown });
  const all = document.querySelector("[data-passkey-signals]");
  if (!all) return;
  const { rpId, userId, name, displayName, allAcceptedCredentialIds } = JSON.parse(all.dataset.passkeySignals);
  quietly("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
  quietly("signalCurrentUserDetails", { rpId, userId, name, displayName });
}

// Between JSON and what the browser takes. Newer browsers do it themselves.

function creation(json) {
  if (window.PublicKeyCredential.parseCreationOptionsFromJSON) return window.PublicKeyCredential.parseCreationOptionsFromJSON(json);
  return { ...json, challenge: bytes(json.challenge), user: { ...json.user, id: bytes(json.user.id) }, excludeCredentials: listed(json.excludeCredentials) };
}

function request(json) {
  if (window.PublicKeyCredential.parseRequestOptionsFromJSON) return window.PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return { ...json, challenge: bytes(json.challenge), allowCredentials: listed(json.allowCredentials) };
}

function listed(credentials = []) {
  return credentials.map((c) => ({ ...c, id: bytes(c.id) }));
}

function written(credential) {
  try {
    if (credential.toJSON) return credential.toJSON();
  } catch { /* some password managers hand out what only looks like one */ }
  const { response } = credential;
  const signed = { clientDataJSON: text64(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) signed[name] = text64(response[name]);
  }
  if (response.getTransports) signed.transports = response.getTransports();
  return {
    id: credential.id, rawId: text64(credential.rawId), type: credential.type, response: signed,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined, clientExtensionResults: credential.getClientExtensionResults(),
  };
}

function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

function text64(buffer) {
  const raw = Array.from(new Uint8Array(buffer), (b) => String.fromCharCode(b)).join("");
  return btoa(raw).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
