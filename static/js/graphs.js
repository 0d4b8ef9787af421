/**
 * Graphs of one environment: the minutes that the panel kept, and on from there what nodes report (`wadah:usage`).
 * Each <div data-graph="cpu" data-environment data-limit data-unit> is one; lines mark what was done to it.
 */
import uPlot from "../vendor/uplot/uplot.mjs";
import { timeOfDay, ZONE } from "./clock.js";
import { spelled, word } from "./words.js";

const places = [...document.querySelectorAll("[data-graph]")];
const id = places[0]?.dataset.environment;
const spanSeconds = Number(places[0]?.dataset.hours || 1) * 3600;
const marks = JSON.parse(document.getElementById("usage-marks")?.textContent || "[]");
const graphs = new Map();

const colour = (name) => {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
};
/** What an axis reaches at least: below it, all of its numbers would read alike. */
const LEAST = { bits: 1000, bytes: 2 ** 20, cpu: 0.1 };
const BYTE_STEPS = Array.from({ length: 40 }, (_, power) => 2 ** (power + 10));
const BYTES = ["B", "KiB", "MiB", "GiB", "TiB"];
const text = {
  bytes(value) {
    let unit = 0;
    let amount = value;
    while (amount >= 1024 && unit < 4) { amount /= 1024; unit += 1; }
    return spelled(`${amount.toFixed(amount < 10 && unit ? 1 : 0)} ${BYTES[unit]}`);
  },
  cpu: (value) => spelled(value.toFixed(2)),
  bits: (value) => spelled(value >= 1e6 ? `${(value / 1e6).toFixed(1)} Mbit/s` : value >= 1e3 ? `${(value / 1e3).toFixed(0)} kbit/s` : `${value.toFixed(0)} bit/s`),
};

const clock = (seconds, isExact = spanSeconds <= 3600) => timeOfDay(seconds * 1000, isExact);

let points = JSON.parse(document.getElementById("usage-history")?.textContent || "[]");

function series(place) {
  const keys = place.dataset.graph.split(" ");
  // One point alone has no span: uPlot would draw years around it.
  const shown = points.length === 1 ? [{ at: points[0].at - 120 }, points[0]] : points;
  return [shown.map((p) => p.at), ...keys.map((k) => shown.map((p) => p[k] ?? null))];
}

/** A thin line, and its word on hover of the legend's time, where an operation ended. */
function drawMarks(graph) {
  const { ctx, bbox } = graph;
  ctx.save();
  ctx.strokeStyle = colour("--w-line-strong");
  ctx.fillStyle = colour("--w-muted");
  ctx.font = `${10 * devicePixelRatio}px system-ui`;
  ctx.setLineDash([3, 3]);
  let free = -Infinity; // words never stand on each other
  for (const { at, label } of [...marks].reverse()) {
    const x = graph.valToPos(at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    if (x < free) continue;
    ctx.fillText(label, x + 3, bbox.top + 9 * devicePixelRatio);
    free = x + ctx.measureText(label).width + 8;
  }
  ctx.restore();
}

function build(place) {
  const { unit, limit } = place.dataset;
  const show = text[unit];
  const keys = place.dataset.graph.split(" ");
  const names = (place.dataset.names || place.dataset.graph).split(",");
  const strokes = [colour("--w-busy"), colour("--w-ok")];
  const axis = { stroke: colour("--w-muted"), grid: { stroke: colour("--w-line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  const graph = new uPlot({
    width: Math.max(place.clientWidth, 120), height: 130,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), ZONE), // an axis has whole hours of the reader's
    cursor: { sync: { key: "ve" }, drag: { x: true, y: false } },
    scales: { x: { range: (_, least, most) => (least === null ? [Date.now() / 1000 - 300, Date.now() / 1000] : most - least < 120 ? [most - 120, most] : [least, most]) }, y: { range: (_, __, most) => [0, Math.max(LEAST[unit], limit ? Math.min(Number(limit), (most || 0) * 1.6) : 0, most || 0)] } },
    hooks: { draw: [drawMarks] },
    legend: { show: true }, axes: [{ ...axis, space: 60, size: 28, values: (_, ticks, __, ___, step) => ticks.map((tick) => clock(tick, step < 60)) }, { ...axis, size: 68, ...(unit === "bytes" ? { incrs: BYTE_STEPS } : {}), values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : show(tick))) }],
    series: [{ label: word("time"), value: (_, at) => (at ? clock(at) : "–") }, ...keys.map((_, index) => ({
      label: names[index], stroke: strokes[index], width: 1.5, spanGaps: false, points: { show: points.length < 3 },
      value: (__, value) => (value === null || value === undefined ? "–" : show(value)),
    }))],
  }, series(place), place);
  graphs.set(place, graph);
}

function redraw() {
  graphs.forEach((graph) => graph.destroy());
  graphs.clear();
  places.forEach(build);
}

function add(at, usage) {
  points.push({
    at, cpu: usage.cpu, memory: usage.memory_bytes, disk: usage.disk_bytes,
    in: usage.network_in_bit_s, out: usage.network_out_bit_s,
  });
  points = points.filter((point) => point.at > at - spanSeconds);
  graphs.forEach((graph, place) => graph.setData(series(place)));
}

document.addEventListener("wadah:usage", (event) => {
  const usage = event.detail.usages?.[id];
  if (usage) add(Date.parse(event.detail.at) / 1000 || Date.now() / 1000, usage);
});
document.addEventListener("wadah:theme", redraw);
let timer = 0;
new ResizeObserver(() => {
  clearTimeout(timer);
  timer = setTimeout(() => graphs.forEach((graph, place) => graph.setSize({ width: Math.max(place.clientWidth, 120), height: 130 })), 80);
}).observe(document.body);
places.forEach(build);
