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
// Restored pages are fetched anew: what they show may have changed.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());

export default htmx;
