// Draws what is zoomed: the places of frames, their labels, the frames that were too narrow before.
const within = (node, outer) =>
  node.d >= outer.d && node.x >= outer.x && node.x + node.w <= outer.x + outer.w * (1 + 1e-9);
const overlaps = (node) => node.x < zoomed.x + zoomed.w && node.x + node.w > zoomed.x;
const widthOf = (text) => [...text].reduce((sum, char) => sum + (char < "\u1100" ? 1 : 2), 0);

// The longest end of a name that fits, its namespaces dropped first; cut only where its method is too long.
const fit = (name, cells) => {
  if (cells < 4) return "";
  let end = name;
  while (widthOf(end) > cells && end.includes("::")) end = end.slice(end.indexOf("::") + 2);
  if (widthOf(end) > cells) end = (/[#.][^#.:]+$/.exec(end) || [end])[0];
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
  frames.dispatchEvent(new Event("drawn"));
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
