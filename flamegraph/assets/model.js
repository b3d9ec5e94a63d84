// The frames of the picture, drawn and not drawn, and what is chosen among them.
// All parts share one function, in the order that the drawing lists them; comments stand on lines of their own.
const SVG = "http://www.w3.org/2000/svg";
const by = (id) => root.querySelector("#" + id);
const [frames, labels, body, legend] = ["frames", "labels", "body", "legend"].map(by);
const { unit, link, fluid, down } = root.dataset;
const ROW = +frames.querySelector("rect").getAttribute("height") + 1;
const LEGEND = 258;
// A crash's picture has a strip that stands for nothing: there the drawn places are not those in samples.
const strip = (root.dataset.strip || "0 0").split(" ").map(Number);
const counted = +frames.getAttribute("total_samples");
const total = counted || 1;
const divisor = (counted + strip[1]) / frames.getAttribute("viewBox").split(" ")[2] || 1;
const worth = (from, to) => to - from - Math.max(0, Math.min(to, strip[0] + strip[1]) - Math.max(from, strip[0]));
const [placed, sized, times] = strip[1] ? ["x", "width", divisor] : ["fg:x", "fg:w", 1];
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
    x: rect.getAttribute(placed) * times,
    w: rect.getAttribute(sized) * times,
    d: down ? y : deepest - y,
    n: head.slice(0, cut),
    info: head.slice(cut + 2, -1),
    at,
    group: kind.replace(/.*g(\d+).*/, "$1"),
    wide: /wide/.test(kind),
  });
});
const base = nodes[0];
const share = (node) => percent(worth(node.x, node.x + node.w), worth(zoomed.x, zoomed.x + zoomed.w));

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
