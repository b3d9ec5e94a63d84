// The page around: its width follows the window; the dock with the search and the details stays in view.
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
  if (zoomed !== base && node !== zoomed) parts.push(share(node) + " of " + zoomed.n);
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
