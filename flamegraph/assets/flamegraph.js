// Makes the picture answer: zoom, search, legend, keys, copy, links, the state in the address.
// Comments stand on lines of their own; drawing leaves them and the indents out.
// The script stands before what it works on: it starts when the document is whole.
"use strict";
((root) => addEventListener("DOMContentLoaded", () => {
  const SVG = "http://www.w3.org/2000/svg";
  const by = (id) => root.querySelector("#" + id);
  const [frames, labels, body, legend] = ["frames", "labels", "body", "legend"].map(by);
  const { unit, link, fluid, down } = root.dataset;
  const ROW = +frames.querySelector("rect").getAttribute("height") + 1;
  const LEGEND = 258;
  const total = +frames.getAttribute("total_samples") || 1;
  const divisor = total / frames.getAttribute("viewBox").split(" ")[2] || 1;
  const high = +frames.getAttribute("height");
  const shown = (value, digits) => value.toLocaleString("en", { maximumFractionDigits: digits });
  // Only what changes is written to the document: reading classes back is slow.
  const mark = (node, name, on) => {
    if (!node.g || !!node[name] === on) return;
    node[name] = on;
    node.g.classList.toggle(name, on);
  };
  const percent = (part, whole) => shown((100 * part) / (whole || 1), 2) + "%";
  const make = (name, parent, attributes) => {
    const made = parent.appendChild(document.createElementNS(SVG, name));
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    return made;
  };

  // Every frame: g its element, x and w its place and weight, d its depth, n its name, at its file and line.
  const deepest = high / ROW - 1;
  const nodes = [...frames.children].map((g) => {
    const [title, rect] = g.children;
    const [head, at = ""] = title.textContent.split("\n");
    const cut = head.lastIndexOf(" (");
    const y = +rect.getAttribute("y") / ROW;
    const kind = g.getAttribute("class") || "";
    g.setAttribute("role", "treeitem");
    return (g.node = {
      g,
      x: +rect.getAttribute("fg:x"),
      w: +rect.getAttribute("fg:w"),
      d: down ? y : deepest - y,
      n: head.slice(0, cut),
      info: head.slice(cut + 2, -1),
      at,
      group: kind.replace(/.*g(\d+).*/, "$1"),
      wide: /wide/.test(kind),
    });
  });
  const base = nodes[0];

  // The frames too narrow to draw have no element until a zoom makes them wide enough.
  const names = [...new Set(nodes.slice(1).map((node) => node.n))];
  let fresh = names.length;
  names.push(...by("names").textContent.split("\n").slice(1));
  const table = by("narrow").textContent;
  let [x, d, w] = [0, 0, 0];
  for (const line of table ? table.split("\n") : []) {
    const [name, depth, place, weight] = line.split(",");
    d += +(depth || 1);
    x += +(place || 0);
    w = +(weight || w);
    nodes.push({ x, d, w, n: name ? names[name - 1] : names[fresh++], at: "", group: "", narrow: 1 });
  }
  const narrow = nodes.filter((node) => node.narrow);
  for (const node of narrow) node.info = shown(node.w, 2) + " " + unit + ", " + percent(node.w, total);

  const items = [...root.querySelectorAll(".row")];
  let zoomed = base;
  let current = base;
  let visible = [];
  let rows = [];
  let hits = [];
  let query = "";
  let picked = new Set();
  let origin = 0;
  let width = 0;
  let cell = 0;

  // ---- drawing

  const within = (node, outer) =>
    node.d >= outer.d && node.x >= outer.x && node.x + node.w <= outer.x + outer.w * (1 + 1e-9);
  const overlaps = (node) => node.x < zoomed.x + zoomed.w && node.x + node.w > zoomed.x;
  const widthOf = (text) => [...text].reduce((sum, char) => sum + (char < "\u1100" ? 1 : 2), 0);

  // The longest end of a name that fits, its namespaces dropped first; cut only where its method is too long.
  const fit = (name, cells) => {
    if (cells < 4) return "";
    let end = name;
    while (widthOf(end) > cells && end.includes("::")) end = end.slice(end.indexOf("::") + 2);
    if (widthOf(end) > cells) end = (/[#.][^#.]+$/.exec(end) || [end])[0];
    if (widthOf(end) <= cells) return end;
    let kept = "";
    for (const char of end) {
      if (widthOf(kept + char) > cells - 1) break;
      kept += char;
    }
    return kept.length > 3 ? kept + "…" : "";
  };

  const measure = () => {
    const probe = make("text", labels, {});
    probe.textContent = "0".repeat(50);
    cell = probe.getComputedTextLength() / 50 || 7;
    probe.remove();
  };

  const draw = () => {
    const scale = width / zoomed.w;
    move(zoomed.w < total / 1e3 && total > 1e5 ? zoomed.x : 0);
    frames.setAttribute("viewBox", (zoomed.x - origin) / divisor + " 0 " + zoomed.w / divisor + " " + high);
    visible = [];
    rows = [];
    for (const node of nodes) {
      const seen = overlaps(node) && (node.d <= zoomed.d || within(node, zoomed));
      if (node.narrow) materialise(node, seen && node.w * scale > 0.5);
      if (!seen || !node.g) continue;
      mark(node, "up", node.d < zoomed.d);
      mark(node, "wide", node.w * scale > 4);
      visible.push(node);
      (rows[node.d] ||= []).push(node);
    }
    for (const line of rows) if (line) line.sort((a, b) => a.x - b.x);
    drawLabels(scale);
    frames.dispatchEvent(new CustomEvent("drawn", { detail: [zoomed.x, zoomed.w, width] }));
  };

  // Browsers draw with 24 bits of precision: deep in a large picture places must be counted from what is zoomed.
  const move = (to) => {
    if (to === origin) return;
    origin = to;
    for (const node of nodes) node.g?.lastElementChild.setAttribute("x", (node.x - origin) / divisor);
  };

  const materialise = (node, wanted) => {
    if (!wanted) {
      if (node.g) node.g.remove();
      node.g = null;
    } else if (!node.g) {
      node.g = make("g", frames, { role: "treeitem" });
      node.g.node = node;
      make("title", node.g, {}).textContent = node.n + " (" + node.info + ")";
      const y = ROW * (down ? node.d : deepest - node.d);
      make("rect", node.g, { x: (node.x - origin) / divisor, width: node.w / divisor, y, height: ROW - 1 });
      node.wide = node.hit = false;
      mark(node, "hit", hits.includes(node));
    }
  };

  const drawLabels = (scale) => {
    const pool = [...labels.children];
    let used = 0;
    for (const node of visible) {
      const left = Math.max(node.x, zoomed.x);
      const room = (Math.min(node.x + node.w, zoomed.x + zoomed.w) - left) * scale;
      const name = room > 28 ? fit(node.n, Math.floor((room - 7) / cell)) : "";
      if (!name) continue;
      const text = pool[used++] || make("text", labels, {});
      text.setAttribute("x", (14 + (left - zoomed.x) * scale).toFixed(1));
      text.setAttribute("y", ROW * (down ? node.d : deepest - node.d) + 12);
      if (text.textContent !== name) text.textContent = name;
    }
    for (const text of pool.slice(used)) text.remove();
  };

  // ---- the page: its width follows the window, the dock stays in view

  const [bodyTop, legendTop] = [body, legend || body].map((part) => part.transform.baseVal[0].matrix.f);
  let tall = +root.getAttribute("height");
  const under = tall - bodyTop;

  const layOutLegend = (top) => {
    if (!items.length) return bodyTop;
    const columns = Math.max(1, Math.min(Math.floor(width / LEGEND), items.length));
    const each = Math.ceil(items.length / columns);
    const heads = [...legend.querySelectorAll(".head")];
    heads.slice(1).forEach((extra) => extra.remove());
    for (let column = 1; column * each < items.length; column++) {
      const copy = heads[0].cloneNode(true);
      copy.setAttribute("transform", "translate(" + column * LEGEND + " 13)");
      legend.insertBefore(copy, items[0]);
    }
    items.forEach((item, i) => {
      const to = [Math.floor(i / each) * LEGEND, (i % each) * 18 + 20];
      item.setAttribute("transform", "translate(" + to + ")");
    });
    return top + 28 + each * 18;
  };

  const resize = () => {
    const full = fluid ? root.getBoundingClientRect().width : +root.getAttribute("width");
    width = Math.max(100, full - 20);
    frames.setAttribute("width", width);
    const top = layOutLegend(legendTop);
    body.setAttribute("transform", "translate(0 " + top + ")");
    tall = top + under;
    draw();
    follow();
  };

  const follow = () => {
    const size = panel.offsetHeight;
    const bottom = Math.max(tall + size, innerHeight);
    root.setAttribute("height", bottom);
    dock.setAttribute("height", size);
    dock.setAttribute("y", Math.min(scrollY + innerHeight, bottom) - size);
  };

  // ---- the dock: what is under the pointer, the search, the buttons

  const dock = make("foreignObject", root, { id: "dock", x: 0, width: "100%", height: 60 });
  const panel = dock.appendChild(document.createElementNS("http://www.w3.org/1999/xhtml", "div"));
  panel.innerHTML =
    '<form role="search"><input type="search" aria-label="Search frames" spellcheck="false" autocomplete="off"' +
    ' placeholder="Search text or /regexp/"/><output aria-live="polite"></output>' +
    '<button type="button" data-do="back" aria-label="Previous match">‹</button>' +
    '<button type="button" data-do="next" aria-label="Next match">›</button></form>' +
    '<div class="what"><b></b><span></span></div><nav>' +
    '<a class="open" hidden="hidden">Open</a>' +
    '<button type="button" data-do="copy">Copy</button>' +
    '<button type="button" data-do="reset" disabled="disabled">Reset zoom</button>' +
    '<button type="button" data-do="help" aria-label="Keys">?</button></nav>' +
    '<p hidden="hidden">Arrows: move · Enter: zoom · Esc: reset · U: zoom out one frame · /: search · N, Shift N: matches' +
    " · C: copy name · O: open file · L: legend · Home: first frame</p>";
  const pick = (selector) => panel.querySelector(selector);
  const input = pick("input");
  const found = pick("output");
  const opener = pick(".open");

  const say = (node) => {
    pick("b").textContent = node.n;
    const parts = [node.info];
    if (zoomed !== base && node !== zoomed) parts.push(percent(node.w, zoomed.w) + " of " + zoomed.n);
    const more = narrow.filter((one) => !one.g && one.d > node.d && one.x >= node.x && one.x < node.x + node.w).length;
    if (more) parts.push(shown(more) + " more here");
    if (node.at) parts.push(node.at.replace(/.*\/gems\//, ""));
    pick(".what span").textContent = parts.join(" · ");
    const address = addressOf(node);
    opener.hidden = !address;
    if (address) opener.href = address;
  };

  const addressOf = (node) => {
    const place = /^(.*?)(?::(\d+))?$/.exec(node.at);
    if (!link || !node.at || /^[<(]/.test(node.at)) return "";
    const file = encodeURI(place[1]).replace(/[?#]/g, encodeURIComponent);
    return link.replace(/\{(file|line)\}/g, (_, key) => (key === "file" ? file : place[2] || 1));
  };

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(current.n);
      found.textContent = "Copied";
    } catch {
      // Outside of a secure page the browser lets nobody write; the user can.
      prompt("Copy", current.n);
    }
  };

  // ---- zoom

  const select = (node, focus) => {
    // Taking it from the focused frame itself would take its focus too.
    if (node !== current) current.g?.removeAttribute("tabindex");
    current = node;
    node.g.setAttribute("tabindex", 0);
    node.g.setAttribute("aria-level", node.d + 1);
    if (focus) {
      node.g.focus({ preventScroll: true });
      reveal(node);
    }
    say(node);
  };

  const reveal = (node) => {
    const box = node.g.getBoundingClientRect();
    const low = innerHeight - panel.offsetHeight - 2 * ROW;
    if (box.top < ROW || box.top > low) scrollBy(0, box.top - innerHeight / 2);
  };

  const zoom = (node, quiet) => {
    if (node.narrow && !node.g) return;
    zoomed = node;
    draw();
    pick("[data-do=reset]").disabled = node === base;
    select(node.g ? node : base);
    count();
    if (!quiet) remember(true);
  };

  const parentOf = (node) => visible.find((one) => one.d === node.d - 1 && one.x <= node.x && one.x + one.w > node.x);

  // ---- search

  const matcher = (text) => {
    const pattern = /^\/(.+)\/([a-z]*)$/.exec(text);
    if (pattern) {
      const tested = new RegExp(pattern[1], pattern[2].replace(/[gy]/g, ""));
      return (name) => tested.test(name);
    }
    if (text !== text.toLowerCase()) return (name) => name.includes(text);
    return (name) => name.toLowerCase().includes(text);
  };

  const search = (text, quiet) => {
    query = text;
    let matches;
    try {
      matches = text && matcher(text);
    } catch (error) {
      matches = null;
      found.textContent = error.message;
    }
    input.toggleAttribute("aria-invalid", matches === null);
    const known = new Map();
    hits = [];
    for (const node of nodes) {
      if (matches && !known.has(node.n)) known.set(node.n, matches(node.n));
      const hit = !!matches && node !== base && known.get(node.n);
      if (hit) hits.push(node);
      mark(node, "hit", hit);
    }
    hits.sort((a, b) => a.x - b.x || a.d - b.d);
    if (matches !== null) count();
    if (!quiet) remember();
  };

  // Samples of frames inside each other count once; under zoom only those inside the zoomed frame count.
  const count = () => {
    let sum = 0;
    let end = zoomed.x;
    let several = 0;
    for (const hit of hits) {
      if (!within(hit, zoomed)) continue;
      several++;
      sum += Math.max(0, hit.x + hit.w - Math.max(end, hit.x));
      end = Math.max(end, hit.x + hit.w);
    }
    found.textContent = query ? percent(sum, zoomed.w) + " matched, " + shown(several) + " frames" : "";
  };

  const step = (by) => {
    const reachable = hits.filter((hit) => hit.g && within(hit, zoomed));
    if (!reachable.length) return;
    const here = reachable.indexOf(current);
    const next = here < 0 && by < 0 ? reachable.length - 1 : here + by;
    select(reachable[(next + reachable.length) % reachable.length], true);
  };

  // ---- legend

  const filter = (groups, quiet) => {
    picked = groups;
    for (const node of nodes) mark(node, "dim", picked.size > 0 && !picked.has(node.group));
    for (const item of items) {
      item.setAttribute("aria-pressed", picked.has(item.dataset.g));
      item.classList.toggle("off", picked.size > 0 && !picked.has(item.dataset.g));
    }
    if (!quiet) remember();
  };

  const flip = (item) => {
    const groups = new Set(picked);
    if (!groups.delete(item.dataset.g)) groups.add(item.dataset.g);
    filter(groups);
  };

  // ---- the state in the address

  let written = location.hash;
  const remember = (step) => {
    const state = new URLSearchParams();
    if (zoomed !== base) state.set("z", zoomed.x + "_" + zoomed.d);
    if (query) state.set("s", query);
    if (picked.size) state.set("g", [...picked].join("_"));
    const hash = "#" + state;
    if (hash === written || (hash === "#" && !written)) return;
    written = hash;
    try {
      history[step ? "pushState" : "replaceState"](null, "", hash);
    } catch {
      // A document without an address of its own, such as a sandboxed frame, keeps its state to itself.
    }
  };

  const recall = () => {
    written = location.hash;
    const state = new URLSearchParams(written.slice(1));
    const [zx, zd] = (state.get("z") || "0_0").split("_").map(Number);
    const node = nodes.find((one) => one.g && one.x === zx && one.d === zd) || base;
    if (node !== zoomed) zoom(node, true), reveal(node);
    input.value = state.get("s") || "";
    search(input.value, true);
    filter(new Set((state.get("g") || "").split("_").filter(Boolean)), true);
  };

  // ---- events

  const walk = (key) => {
    if (key === "Home") return select(base, true);
    const line = rows[current.d] || [];
    const here = line.indexOf(current);
    if (key === "ArrowLeft" || key === "ArrowRight") {
      const next = line[here + (key === "ArrowLeft" ? -1 : 1)];
      if (next) select(next, true);
    } else if ((key === "ArrowDown") === !!down) {
      const callees = (rows[current.d + 1] || []).filter((one) => within(one, current) || current.d < zoomed.d);
      if (callees.length) select(callees.reduce((a, b) => (b.w > a.w ? b : a)), true);
    } else {
      const caller = parentOf(current);
      if (caller) select(caller, true);
    }
  };

  const actions = {
    next: () => step(1),
    back: () => step(-1),
    copy,
    reset: () => zoom(base),
    help() {
      pick("p").hidden = !pick("p").hidden;
      follow();
    },
    up: () => zoomed !== base && zoom(parentOf(zoomed) || base),
    find() {
      input.focus({ preventScroll: true });
      input.select();
    },
    open: () => opener.hidden || opener.click(),
    legend: () => items[0]?.focus(),
  };
  const keys = {
    "/": "find", n: "next", N: "back", c: "copy", Escape: "reset", 0: "reset", "?": "help", u: "up", o: "open", l: "legend",
  };

  const typed = (event) => {
    if (event.key === "Escape") {
      input.value = "";
      search("");
      current.g.focus({ preventScroll: true });
    } else if (event.key === "Enter") {
      step(event.shiftKey ? -1 : 1);
      input.focus({ preventScroll: true });
    } else {
      return;
    }
    event.preventDefault();
  };

  const pressed = (event) => {
    // Inside of another page its own fields keep their keys.
    if (event.target !== input && /input|area|select/i.test(event.target.tagName)) return;
    const control = event.ctrlKey || event.metaKey;
    if (event.key === "F3" || (control && event.key === "f")) {
      event.preventDefault();
      return actions.find();
    }
    if (control || event.altKey) return;
    if (event.target === input) return typed(event);
    const { node, dataset } = event.target;
    const press = event.key === "Enter" || event.key === " ";
    if (press && dataset.g) flip(event.target);
    else if (press && node) zoom(node), current.g.focus({ preventScroll: true });
    else if (/^(Arrow|Home)/.test(event.key)) walk(event.key);
    else if (keys[event.key]) actions[keys[event.key]]();
    else return;
    event.preventDefault();
  };

  const nodeAt = (event) => event.target.closest?.("#frames > g")?.node;
  frames.addEventListener("mouseover", (event) => nodeAt(event) && say(nodeAt(event)));
  frames.addEventListener("mouseleave", () => say(current));
  frames.addEventListener("click", (event) => {
    const node = nodeAt(event);
    if (!node) return;
    if ((event.ctrlKey || event.metaKey) && addressOf(node)) location.href = addressOf(node);
    else zoom(node);
  });
  frames.addEventListener("focusin", (event) => event.target.node && select(event.target.node));
  panel.addEventListener("click", (event) => actions[event.target.dataset.do]?.());
  input.addEventListener("input", () => search(input.value));
  pick("form").addEventListener("submit", (event) => event.preventDefault());
  for (const item of items) {
    const [name, self, all] = [...item.querySelectorAll("text")].map((text) => text.textContent);
    const whole = item.querySelector("title")?.textContent || name;
    item.setAttribute("aria-label", whole + ": " + self + " itself, " + all + " with what it calls");
    item.setAttribute("role", "button");
    item.setAttribute("tabindex", 0);
    item.addEventListener("click", () => flip(item));
  }
  addEventListener("keydown", pressed);
  addEventListener("resize", resize);
  addEventListener("scroll", follow);
  addEventListener("hashchange", recall);
  addEventListener("beforeprint", () => {
    root.setAttribute("viewBox", "0 0 " + (width + 20) + " " + tall);
    root.removeAttribute("height");
  });
  addEventListener("afterprint", () => {
    if (fluid) root.removeAttribute("viewBox");
    resize();
  });

  if (fluid) {
    root.setAttribute("width", "100%");
    root.removeAttribute("viewBox");
  }
  root.classList.add("live");
  measure();
  resize();
  select(base);
  recall();
}))(document.currentScript.closest("svg"));
