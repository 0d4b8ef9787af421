/** The create page: own size only when chosen, the summary, and the same as a curl command, as one types. */
const form = document.getElementById("create-form");
const curl = document.getElementById("curl");
const own = document.getElementById("own-size");
const idempotency = /Idempotency-Key: ([0-9a-f]+)/.exec(curl.textContent)?.[1] || "";

const numbers = ["cpu", "memory_mb", "disk_mb", "processes"];
const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Words as a shell has them, which `shlex` on the other side reads in full. */
const words = (text) => (text.match(/"[^"]*"|'[^']*'|\S+/g) || []).map((word) => word.replace(/^(["'])(.*)\1$/, "$2"));

/** What the text of an option is as JSON, by `data-reads`. */
const reads = {
  words,
  lines: (text) => text.split("\n").map((line) => line.trim()).filter(Boolean),
  list: (text) => text.split(/[\s,]+/).filter(Boolean),
  pairs: (text) => Object.fromEntries(text.split("\n").filter((line) => line.includes("=")).map((line) => [line.trim().split("=")[0], line.trim().split("=").slice(1).join("=")])),
};

/** Options that were asked for, laid out by their names: `boot.order`. */
function options() {
  const value = {};
  for (const input of form.querySelectorAll(".options [name]")) {
    const text = input.value.trim();
    const isBox = input.type === "checkbox";
    if (isBox ? !input.checked : input.matches("select") ? !input.selectedIndex : !text) continue;
    const read = isBox || (input.type === "number" ? Number(text) : (reads[input.dataset.reads] || String)(text));
    const [, name, inner] = /^([^.]*)\.?(.*)$/.exec(input.name);
    if (input.dataset.whole) {
      const [, part, last] = inner.match(/^(.*)\.(.*)$/);
      ((value[name] ||= {})[part] ||= {})[last] = read;
    } else if (inner) (value[name] ||= {})[inner] = read;
    else value[name] = read;
  }
  return value;
}

function body(data) {
  const value = { name: data.get("name") };
  if (form.querySelector("[name=image]")) value.image = data.get("image");
  if (data.get("plan")) value.plan = data.get("plan");
  else value.limits = Object.fromEntries(numbers.filter((n) => data.get(n)).map((n) => [n, Number(data.get(n))]));
  const tenant = form.querySelector("[name=tenant]");
  const id = tenant?.selectedOptions ? tenant.selectedOptions[0]?.dataset.id : tenant?.dataset.id;
  if (id) value.tenant = id;
  const saved = [...form.querySelectorAll("[name=saved_keys]:checked")].map((box) => box.dataset.key);
  const typed = (data.get("ssh_keys") || "").split("\n").map((line) => line.trim()).filter(Boolean);
  if (saved.length + typed.length) value.ssh_keys = [...saved, ...typed];
  for (const family of ["ipv4", "ipv6"]) if (data.get(family)) value[family] = Number(data.get(family));
  if (data.get("description")) value.description = data.get("description");
  const tags = (data.get("tags") || "").split(/[\s,]+/).filter(Boolean);
  if (tags.length) value.tags = tags;
  if (data.getAll("devices").length) value.devices = data.getAll("devices");
  Object.assign(value, options());
  if (data.get("kind") !== "system") value.kind = data.get("kind");
  if (data.get("kernel") !== "shared") value.kernel = data.get("kernel");
  return value;
}

function show() {
  const data = new FormData(form);
  own.hidden = Boolean(data.get("plan"));
  const sum = (name, text) => { document.querySelector(`[data-sum=${name}]`).textContent = text || "–"; };
  sum("name", data.get("name"));
  sum("image", data.get("image"));
  const card = form.querySelector("input[name=plan]:checked")?.closest(".choice")?.querySelector(".title")?.textContent.trim();
  sum("size", data.get("plan") ? card : `${data.get("cpu")} vCPU · ${data.get("memory_mb")} MiB · ${data.get("disk_mb")} MiB`);
  curl.textContent = [
    `curl -X POST ${curl.dataset.url}`, `  -H "Authorization: Bearer $WADAH_TOKEN"`, `  -H 'Idempotency-Key: ${idempotency}'`,
    `  -H 'Content-Type: application/json'`, `  -d ${quote(JSON.stringify(body(data), null, 2))}`,
  ].join(" \\\n");
}
/** Ports that the image is known to expose, each a button that publishes it. */
const exposed = document.getElementById("exposed");
if (exposed) form.querySelector("[name='app.ports']").closest(".field").append(exposed);
function exposes() {
  if (!exposed) return;
  const image = form.querySelector("[name=image]").value.trim();
  const field = form.querySelector("[name='app.ports']");
  const ports = JSON.parse(exposed.dataset.known)[image] || [];
  exposed.hidden = !ports.length;
  exposed.querySelector("span").replaceChildren(...ports.map((port) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm mono";
    button.textContent = port;
    button.addEventListener("click", () => {
      if (!field.value.split(/[\s,]+/).includes(port)) field.value = `${field.value} ${port}`.trim();
      show();
    });
    return button;
  }));
}

/** What the chosen plan leaves out can't be chosen, and says why. */
function leaveOut(input, isOut, text) {
  const choice = input.closest("label");
  if (isOut && !input.disabled) {
    input.disabled = true;
    input.dataset.left = "";
    const why = document.createElement("span");
    why.className = "why";
    why.dataset.left = "";
    why.textContent = text;
    choice.append(why);
  } else if (!isOut && input.dataset.left !== undefined) {
    input.disabled = false;
    delete input.dataset.left;
    choice.querySelector(".why[data-left]").remove();
  }
}

function offer() {
  const plan = form.querySelector("input[name=plan]:checked")?.dataset;
  const images = plan?.images?.split(" ");
  for (const input of form.querySelectorAll("input[type=radio][name=image]")) {
    leaveOut(input, Boolean(images) && !images.includes(input.value), document.getElementById("images").dataset.why);
  }
  const devices = (plan?.devices || "").split(" ");
  for (const input of form.querySelectorAll("input[name=devices]")) {
    leaveOut(input, !devices.includes(input.value), document.getElementById("device-choices").dataset.why);
    if (input.disabled) input.checked = false;
  }
  const chosen = form.querySelector("input[type=radio][name=image]:checked");
  if (!chosen || chosen.disabled) {
    const next = form.querySelector("input[type=radio][name=image]:enabled");
    if (next) next.checked = true;
  }
}

form.addEventListener("change", offer);
offer();
form.addEventListener("input", show);
form.addEventListener("input", exposes);
exposes();
form.addEventListener("change", (event) => {
  if (event.target.matches("select[name=tenant]")) location.assign(`?tenant=${encodeURIComponent(event.target.value)}`);
});
show();
