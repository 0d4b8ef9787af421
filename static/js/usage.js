/** Moves bars as usage comes: <… data-metric="memory_bytes" data-limit="…">, at or within data-usage="<environment>". */
import { spelled } from "./words.js";

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB"];

function bytes(value) {
  let unit = 0;
  let amount = value;
  while (amount >= 1024 && unit < 4) { amount /= 1024; unit += 1; }
  return `${amount < 100 && unit ? amount.toFixed(1).replace(/\.0$/, "") : Math.round(amount)} ${BYTES[unit]}`;
}
const bits = (value) => (value >= 1e6 ? `${(value / 1e6).toFixed(1)} Mbit/s` : value >= 1e3 ? `${(value / 1e3).toFixed(1)} kbit/s` : `${Math.round(value)} bit/s`);
const TEXT = { cpu: (value) => value.toFixed(2).replace(/\.?0+$/, ""), processes: String, memory_bytes: bytes, disk_bytes: bytes, network_in_bit_s: bits, network_out_bit_s: bits };

document.addEventListener("wadah:usage", (event) => {
  const usages = event.detail.usages || {};
  for (const place of document.querySelectorAll("[data-metric]")) {
    const value = usages[place.closest("[data-usage]").dataset.usage]?.[place.dataset.metric];
    if (value === undefined) continue;
    const now = place.querySelector("[data-now]");
    if (now) now.textContent = spelled(TEXT[place.dataset.metric](value));
    const limit = Number(place.dataset.limit);
    const bar = place.querySelector(".bar");
    if (!bar || !limit) continue;
    const share = Math.min(value / limit, 1);
    bar.querySelector(".used").setAttribute("width", `${(share * 100).toFixed(2)}%`);
    bar.classList.toggle("bad", share >= 0.95);
    bar.classList.toggle("warn", share >= 0.8 && share < 0.95);
  }
});
