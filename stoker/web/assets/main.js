// Brings together what is heard and what is drawn: at most once a frame, and only what changed.

import { drawBackends, drawVisible, find } from "./backends.js";
import { drawChart } from "./chart.js";
import { drawCrashes, drawEvents, drawFaults, drawProxies, drawReasons, drawScalers } from "./lists.js";
import { listen } from "./live.js";
import { state, take } from "./state.js";
import { $, age, clock, make, number, put } from "./text.js";

const BACK_MS = 8000;
let touched = new Set(), backends = new Set(), whole = false, due = false;
let lostAt = 0, heardAt = 0;

function later() {
  if (!due) requestAnimationFrame(drawAll);
  due = true;
}

function heard(kind, content) {
  if (kind === "whole" && outdated(content.version)) return;
  const news = take(kind, content);
  heardAt = Date.now();
  whole ||= kind === "whole";
  for (const name of news.touched) touched.add(name);
  for (const name of news.backends) backends.add(name);
  later();
}

// A server with another version of this page: fetch that one, once.
function outdated(version) {
  const own = document.documentElement.dataset.version;
  if (version === own || sessionStorage.getItem("asked") === version) return false;
  sessionStorage.setItem("asked", version);
  location.reload();
  return true;
}

function drawAll() {
  due = false;
  const all = whole, names = touched, changed = backends;
  const has = (name) => all || names.has(name);
  whole = false;
  [touched, backends] = [new Set(), new Set()];
  if (all) drawNames();
  if (has("numbers")) drawNumbers();
  if (has("backends") || has("numbers")) drawBackends(changed);
  if (has("sample") || has("events")) drawChart();
  if (has("events")) drawEvents(all);
  if (has("proxies") || has("numbers")) drawProxies();
  if (has("scalers")) drawScalers();
  if (has("faults")) drawFaults();
  if (has("crashes")) drawCrashes();
  drawVerdict();
}

function drawNames() {
  put("fleet", state.fleet);
  put("app", state.app);
}

function drawNumbers() {
  for (const name of ["serving", "desired", "rps", "in_flight", "held", "errors"]) put(name, number(state.numbers[name]));
  for (const name of ["held", "errors"]) $(name).closest(".number").classList.toggle("alert", Boolean(state.numbers[name]));
  const { min, schedule } = state.numbers;
  put("bounds", `${min ?? state.min} to ${state.max} allowed${schedule ? `, by schedule ${schedule}` : ""}`);
  drawReasons();
}

function drawVerdict() {
  const lost = Boolean(lostAt);
  const given = lost
    ? { level: "bad", title: "No connection to this page's server", lines: [lastNews(), "It is tried again and again."] }
    : state.verdict ?? { level: "busy", title: "Connecting", lines: [] };
  const { level, title } = given;
  document.body.dataset.level = level;
  document.body.dataset.fresh = lost || state.trouble ? "no" : "yes";
  put("title", title);
  $("mark").setAttribute("href", `#mark-${level}`);
  const icon = `/assets/icon-${level}.svg`;
  if ($("icon").getAttribute("href") !== icon) $("icon").setAttribute("href", icon);
  const lines = given.lines.join("\n");
  if ($("lines").dataset.text !== lines) {
    $("lines").dataset.text = lines;
    $("lines").replaceChildren(...given.lines.map((line) => make("li", {}, line)));
  }
  const { serving, desired } = state.numbers;
  const short = lost ? "no connection" : `${number(serving)}/${number(desired)}`;
  document.title = `${short} · ${level === "good" ? "" : `${title} · `}${state.fleet ?? "Stoker"}`;
}

const lastNews = () => (heardAt ? `What is shown was true at ${clock(heardAt / 1000 + state.offset)}.` : "Nothing was heard yet.");

function linked(lost) {
  if (lost) {
    lostAt = Date.now();
    document.body.dataset.link = "lost";
    put("link", heardAt ? "Connection lost, trying again" : "No connection, trying again");
  } else {
    const away = age((Date.now() - lostAt) / 1000);
    lostAt = 0;
    document.body.dataset.link = "live";
    put("link", `Connected again after ${away}`);
    setTimeout(() => lostAt || put("link", "Live"), BACK_MS);
  }
  later();
}

listen((kind, content) => {
  if (!document.body.dataset.link) {
    document.body.dataset.link = "live";
    put("link", "Live");
  }
  heard(kind, content);
}, linked);
setInterval(drawVisible, 1000);

$("find").addEventListener("input", (event) => find(event.target.value));
$("find").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.target.value = "";
  find("");
  event.target.blur();
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input")) return;
  event.preventDefault();
  $("find").focus();
});
for (const button of document.querySelectorAll("button[data-show]")) {
  button.addEventListener("click", () => {
    $("events").dataset.show = button.dataset.show;
    for (const one of document.querySelectorAll("button[data-show]")) one.setAttribute("aria-pressed", one === button);
  });
}
