/** An archive that is handed in on a build's page: a context, which is built, or an image, as it is. */
import { send } from "./uploads.js";
import { toast } from "./toasts.js";
import { word } from "./words.js";

const form = document.querySelector("[data-hand-in]");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = form.elements.archive.files[0];
  if (!file) return;
  const query = new URLSearchParams({ is_image: form.elements.what.value === "image" });
  const bar = form.querySelector("progress");
  const button = form.querySelector("button");
  const going = send(`${form.dataset.handIn}?${query}`, file, (sent, whole) => { bar.value = sent / whole; });
  bar.value = 0;
  bar.hidden = false;
  button.disabled = true;
  const answer = await going.done;
  bar.hidden = true;
  button.disabled = false;
  if (answer.ok) location.reload();
  else toast(answer.detail || form.dataset.cut || word("failed"), "alert-triangle");
});
