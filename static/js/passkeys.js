/**
 * Says why a passkey can't be used: browsers offer them under a name alone, over https or on the machine itself,
 * and fail without a word elsewhere.
 */
import { toast } from "./toasts.js";
import { word } from "./words.js";

const BUTTONS = ["passkey_login", "mfa_webauthn_add", "mfa_webauthn_authenticate", "mfa_webauthn_reauthenticate", "mfa_webauthn_signup"];
const IS_ADDRESS = /^(\d+\.){3}\d+$|^\[/;
/** What the browser throws, where words of ours say more than its own. */
const REASONS = { SecurityError: "passkeyName", NotAllowedError: "passkeyRefused", InvalidStateError: "passkeyKnown" };

function whyNot() {
  if (IS_ADDRESS.test(location.hostname)) return word("passkeyName");
  if (!window.isSecureContext) return word("passkeyTls");
  return window.PublicKeyCredential ? "" : word("passkeyBrowser");
}

function explain(button, reason) {
  const note = document.createElement("p");
  note.id = `${button.id}-why`;
  note.className = "muted small";
  note.textContent = reason;
  button.setAttribute("aria-describedby", note.id);
  button.setAttribute("aria-disabled", "true");
  button.after(note);
  // before allauth's own listener, which would ask the browser and hear nothing
  button.addEventListener("click", (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    toast(reason, "alert-triangle");
  }, { capture: true });
}

const reason = whyNot();
for (const button of BUTTONS.map((id) => document.getElementById(id)).filter(Boolean)) if (reason) explain(button, reason);
document.addEventListener("allauth.error", (event) => {
  const { exception } = event.detail;
  toast(word(REASONS[exception?.name] || "passkeyRefused"), "alert-triangle");
});
