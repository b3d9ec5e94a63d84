// The instances, grouped by phase: what needs a look first, what serves last.

import { $, age, count, DASH, make, put } from "./text.js";
import { now, state } from "./state.js";

const PHASES = ["failed", "starting", "warming", "draining", "stopping", "gone", "serving"];
const groups = new Map(), rows = new Map();
let words = [], most = 0;

const serial = (name) => Number(/\d+$/.exec(name)?.[0] ?? 0);

function group(phase) {
  let found = groups.get(phase);
  if (!found) {
    const title = make("h3", {}, phase, make("span"));
    const node = make("div", { class: "group", role: "rowgroup", "data-phase": phase }, title);
    found = { node, total: title.lastChild, rows: 0 };
    groups.set(phase, found);
    const later = PHASES.slice(PHASES.indexOf(phase) + 1).find((one) => groups.has(one));
    $("table").insertBefore(node, later ? groups.get(later).node : null);
  }
  return found;
}

function row(name) {
  const cells = Array.from({ length: 7 }, () => make("span", { role: "cell" }));
  const bar = make("i"), load = make("b");
  cells[0].textContent = cells[0].title = name;
  cells[2].className = "load";
  cells[2].append(load, bar);
  const node = make("div", { class: "row backend", role: "row" });
  node.append(...cells);
  const one = { name, node, cells, bar, load, serial: serial(name), entry: null, phase: "", since: 0, share: "", text: "" };
  node.row = one;
  watching.observe(node);
  return one;
}

// Rows stand in the order of their numbers; a new one nearly always has the largest.
function place(one, phase) {
  const parent = group(phase).node;
  let next = null, last = parent.lastElementChild;
  while (last?.row && last.row.serial > one.serial) {
    next = last;
    last = last.previousElementSibling;
  }
  parent.insertBefore(one.node, next);
}

// What stays the same for long; what changes all the time is `refresh`ed while somebody can see it.
function drawBackend(name, entry) {
  const one = rows.get(name);
  const [, phase, since, host, weight, spec, url] = one.entry = entry;
  if (one.phase !== phase) {
    one.phase = phase;
    place(one, phase);
  }
  one.since = since;
  for (const [index, text] of [[3, host], [4, String(weight)], [5, spec.slice(0, 12)], [6, (url ?? DASH).replace("http://", "")]]) {
    put(one.cells[index], text);
  }
  one.cells[3].title = host;
  one.cells[5].title = spec;
  const text = `${name} ${host} ${spec} ${url ?? ""}`.toLowerCase();
  if (one.text !== text) {
    one.text = text;
    one.node.hidden = !shown(one);
  }
}

function refresh(one) {
  const [inFlight] = one.entry;
  put(one.cells[1], age(now() - one.since));
  put(one.load, inFlight === null ? DASH : String(inFlight));
  const share = ((inFlight ?? 0) / most).toFixed(2);
  if (one.share !== share) one.bar.style.setProperty("--share", one.share = share);
}

const visible = new Set();
const watching = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) visible.delete(target.row);
    else if (rows.has(target.row.name)) {
      visible.add(target.row);
      refresh(target.row);
    }
  }
}, { root: $("table"), rootMargin: "400px" });

const shown = (one) => words.every((word) => one.text.includes(word));

// The bars of all rows share one scale, which doubles and halves.
function rescale() {
  let highest = 4;
  for (const [inFlight] of state.backends.values()) highest = Math.max(highest, inFlight ?? 0);
  most = 2 ** Math.ceil(Math.log2(highest));
}

export function drawBackends(changed) {
  rescale();
  const fresh = [...changed].filter((name) => state.backends.has(name) && !rows.has(name));
  for (const name of fresh.sort((a, b) => serial(a) - serial(b))) rows.set(name, row(name));
  for (const name of changed) {
    const entry = state.backends.get(name), one = rows.get(name);
    if (entry && one.entry !== entry) drawBackend(name, entry);
    else if (!entry && one) remove(one);
  }
  drawVisible();
  drawTotals();
}

function remove(one) {
  watching.unobserve(one.node);
  visible.delete(one);
  rows.delete(one.name);
  one.node.remove();
}

function drawTotals() {
  const totals = new Map();
  for (const one of rows.values()) totals.set(one.phase, (totals.get(one.phase) ?? 0) + 1);
  for (const [phase, found] of groups) put(found.total, String(totals.get(phase) ?? 0));
  $("no-instances").hidden = rows.size > 0;
  $("table").hidden = rows.size === 0;
  const found = words.length ? [...rows.values()].filter(shown).length : rows.size;
  put("instances-count", words.length ? `${found} of ${rows.size}` : count(rows.size, "instance"));
  drawStrip(totals);
}

// One bar for all phases, in the order of a life, and what is still missing.
function drawStrip(totals) {
  const order = ["serving", "warming", "starting", "draining", "stopping", "failed"];
  const missing = Math.max(0, (state.numbers.desired ?? 0) - ["serving", "warming", "starting"].reduce((sum, one) => sum + (totals.get(one) ?? 0), 0));
  const parts = [...order.map((phase) => [phase, totals.get(phase) ?? 0]), ["missing", missing]].filter(([, many]) => many);
  const label = parts.map(([phase, many]) => `${many} ${phase}`).join(", ") || "No instances";
  const strip = $("strip");
  if (strip.getAttribute("aria-label") === label) return;
  strip.setAttribute("aria-label", label);
  strip.title = label;
  strip.replaceChildren(...parts.map(([phase, many]) => {
    const part = make("i", { "data-phase": phase });
    part.style.flexGrow = many;
    return part;
  }));
}

export function drawVisible() {
  for (const one of visible) refresh(one);
}

export function find(text) {
  words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const one of rows.values()) one.node.hidden = !shown(one);
  drawTotals();
}
