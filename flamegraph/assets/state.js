// What a user can choose, each of which the address remembers: zoom, search, groups.
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
    const right = hit.x + hit.w;
    if (right > end) sum += worth(Math.max(end, hit.x), right);
    end = Math.max(end, right);
  }
  const whole = worth(zoomed.x, zoomed.x + zoomed.w);
  found.textContent = query ? percent(sum, whole) + " matched, " + shown(several) + " frames" : "";
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
