// From keys, clicks and the window to what they do.
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
