// The history with its reasons, deploys, crashes, proxies and scalers.

import { $, clock, count, make, number, put } from "./text.js";
import { state } from "./state.js";

const DEPLOYS = new Set(["deploy", "canary"]);
const KEPT = 400;
let newest = "";

function words(event) {
  const change = [event.from, event.to].filter(Boolean).join(" → ");
  switch (event.kind) {
    case "decision": return ["Desired", change];
    case "instance": return [event.subject, change];
    case "state": return ["State", change];
    case "term": return ["Scaler", "took over"];
    case "fault": return [`Fault ${event.subject}`, event.to];
    default: return [[event.kind[0]?.toUpperCase() + event.kind.slice(1), event.subject].join(" "), change];
  }
}

function line(event) {
  const [what, change] = words(event);
  const time = make("time", { datetime: new Date(event.at * 1000).toISOString() }, clock(event.at));
  const text = make("div", {}, make("strong", {}, what), change ? ` ${change}` : "");
  for (const reason of event.reasons) text.append(make("p", {}, reason));
  return make("li", { "data-kind": event.kind }, time, text);
}

// Of events only the new ones are added, so that a list that is being read does not jump.
export function drawEvents(whole) {
  if (whole) {
    $("events").replaceChildren();
    $("deploys").replaceChildren();
    newest = "";
  }
  const from = state.events.findIndex((event) => event.id === newest) + 1;
  const fresh = state.events.slice(from).reverse();
  add($("events"), fresh);
  add($("deploys"), fresh.filter((event) => DEPLOYS.has(event.kind)));
  newest = state.events.at(-1)?.id ?? newest;
  $("deploys-panel").hidden = !$("deploys").firstChild;
  $("no-events").hidden = Boolean($("events").firstChild);
}

function add(list, events) {
  const top = list.scrollTop, before = list.scrollHeight;
  list.prepend(...events.map(line));
  while (list.children.length > KEPT) list.lastChild.remove();
  if (top > 0) list.scrollTop = top + list.scrollHeight - before;
}

export function drawReasons() {
  const reasons = state.numbers.reasons ?? [];
  put("reasons", reasons.length ? `Now: ${reasons.join("; ")}` : "");
}

export function drawCrashes() {
  $("crashes-panel").hidden = !state.crashes.length;
  put("crashes-count", count(state.crashes.length, "request"));
  $("crashes").replaceChildren(...state.crashes.map((crash) => {
    const what = crash.exception || crash.how;
    const text = make("div", {}, make("strong", {}, what), ` ${crash.request}`);
    if (crash.message) text.append(make("p", {}, crash.message));
    text.append(make("p", {}, [crash.where, crash.backend, `${number(crash.duration_ms)} ms`].filter(Boolean).join(" · ")));
    const name = `/crashes/${encodeURIComponent(crash.id)}.svg`;
    if (crash.drawn) text.append(make("a", { href: name, target: "_blank", rel: "noopener" }, "Flame graph"));
    else if (crash.reason) text.append(make("p", {}, `No flame graph: ${crash.reason}`));
    return make("li", {}, make("time", {}, clock(crash.at)), text);
  }));
}

const item = (name, tone, ...facts) =>
  make("li", {}, make("span", {}, name), make("span", { class: `tag ${tone}` }, facts.filter(Boolean).join(" · ")));

const known = () => "state" in state.numbers;

export function drawProxies() {
  const wanted = state.numbers.generation;
  $("proxies").replaceChildren(...state.proxies.map((proxy) => {
    if (proxy.silent) return item(proxy.id, "bad", "silent");
    const behind = wanted !== null && proxy.generation < wanted;
    return item(proxy.id, behind ? "warn" : "",
      behind ? "applying the last change" : "in step",
      `${number(proxy.in_flight)} in flight`,
      proxy.held ? `${number(proxy.held)} held` : "",
      proxy.errors_5xx ? count(proxy.errors_5xx, "error") : "");
  }));
  if (!state.proxies.length) $("proxies").append(item(known() ? "None has reported" : "Not known", "warn"));
}

export function drawScalers() {
  $("scalers").replaceChildren(...state.scalers.map((one) => item(one.id, one.acting ? "good" : "", one.acting ? "acts" : "waits")));
  if (!state.scalers.length) $("scalers").append(item(known() ? "None is running" : "Not known", "bad"));
}

export function drawFaults() {
  $("faults-panel").hidden = !state.faults.length;
  $("faults").replaceChildren(...state.faults.map((fault) => make("li", {}, make("span", {}, fault))));
}

