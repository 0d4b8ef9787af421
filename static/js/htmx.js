/** htmx with the CSRF token on every request, and a toast where a request failed. */
import htmx from "../vendor/htmx/htmx.mjs";
import { csrfToken, word } from "./words.js";
import { toast } from "./toasts.js";

document.body.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = csrfToken();
});
for (const name of ["htmx:responseError", "htmx:sendError"]) {
  document.body.addEventListener(name, () => toast(word("failed"), "alert-triangle"));
}
// A session that ended answers with the sign-in: that is a page of its own, and leads back to what was asked for.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (!xhr.responseURL || location.pathname.startsWith("/accounts/")) return;
  if (!new URL(xhr.responseURL).pathname.startsWith("/accounts/")) return;
  event.detail.shouldSwap = false;
  location.assign(xhr.responseURL);
});
// Restored pages are fetched anew: what they show may have changed.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());

export default htmx;
