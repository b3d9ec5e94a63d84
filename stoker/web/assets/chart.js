// Ten minutes of requests a second over instances serving and desired, on one axis of time.

import { $, clock, draw, make, number, put } from "./text.js";
import { now, state } from "./state.js";

const SPAN_S = 600, GAP_S = 4, LEFT = 40, RIGHT = 8, TOP = 8, FOOT = 20, BETWEEN = 30, STEP_S = 120;
const LINES = [
  { name: "rps", label: "Requests/s", at: 1, plot: 0, area: true },
  { name: "errors", label: "Errors/s", at: 2, plot: 0, quiet: true },
  { name: "held", label: "Held", at: 4, plot: 0, quiet: true },
  { name: "serving", label: "Serving", at: 5, plot: 1, area: true, steps: true },
  { name: "desired", label: "Desired", at: 6, plot: 1, steps: true },
];
const box = $("chart"), svg = draw("svg", { role: "presentation" }), legend = $("legend");
const grid = draw("g"), marks = draw("g"), hair = draw("line", { class: "hair", visibility: "hidden" });
const paths = LINES.map((line) => [
  line.area ? draw("path", { class: `area line-${line.name}` }) : null,
  draw("path", { class: `line line-${line.name}` }),
]);
const labels = LINES.map((line) => {
  const value = make("b");
  const node = make("li", { "data-line": line.name }, make("i"), `${line.label} `, value);
  legend.append(node);
  return { node, value };
});
const when = make("li", { class: "when", hidden: "" });
legend.prepend(when);
svg.append(grid, ...paths.flat().filter(Boolean), marks, hair);
box.append(svg);

let size = { width: 0, height: 0 }, chosen = null, drawnGrid = "";

// The least round number that is not below the value and has a round half.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 4, 6, 8, 10].map((factor) => factor * power).find((one) => one >= value) ?? 10 * power;
}

function most(plot, least) {
  let found = least;
  for (const line of LINES) {
    if (line.plot === plot) for (const sample of state.samples) found = Math.max(found, sample[line.at] ?? 0);
  }
  return ceiling(found);
}

function frame() {
  const inner = size.height - TOP - FOOT - BETWEEN, upper = Math.round(inner * 0.6);
  const end = state.samples.at(-1)?.[0] ?? now();
  const plots = [
    { top: TOP, bottom: TOP + upper, most: most(0, 4) },
    { top: TOP + upper + BETWEEN, bottom: TOP + inner + BETWEEN, most: most(1, 2) },
  ];
  const across = (size.width - LEFT - RIGHT) / SPAN_S;
  const x = (at) => LEFT + (at - end + SPAN_S) * across;
  const y = (plot, value) => plot.bottom - (value / plot.most) * (plot.bottom - plot.top);
  return { end, plots, x, y };
}

function drawGrid({ end, plots, x, y }) {
  const shapes = [];
  for (const plot of plots) {
    const values = plot.most === 1 ? [0, 1] : [0, plot.most / 2, plot.most];
    for (const value of values) {
      const at = Math.round(y(plot, value)) + 0.5;
      shapes.push(draw("line", { class: "grid", x1: LEFT, x2: size.width - RIGHT, y1: at, y2: at }));
      const text = draw("text", { x: LEFT - 7, y: at + 4, "text-anchor": "end" });
      text.textContent = number(value);
      shapes.push(text);
    }
  }
  const step = size.width < 480 ? 2 * STEP_S : STEP_S;
  for (let at = Math.ceil((end - SPAN_S) / step) * step; at <= end; at += step) {
    if (x(at) < LEFT + 16 || x(at) > size.width - 24) continue;
    const text = draw("text", { x: x(at).toFixed(1), y: size.height - 4, "text-anchor": "middle" });
    text.textContent = clock(at).slice(0, 5);
    shapes.push(text);
  }
  grid.replaceChildren(...shapes);
}

// A line that is drawn only where there is something to tell.
const silent = (line) => Boolean(line.quiet) && !state.samples.some((one) => one[line.at]);

// Pieces of a line between which something is not known.
function pieces(line, end) {
  const found = [];
  let last = -Infinity;
  for (const sample of state.samples) {
    const [at, value] = [sample[0], sample[line.at]];
    if (value === null || value === undefined || at < end - SPAN_S) continue;
    if (at - last > GAP_S) found.push([]);
    found.at(-1).push([at, value]);
    last = at;
  }
  return found;
}

function trace(line, { end, plots, x, y }) {
  const plot = plots[line.plot];
  let outline = "", area = "";
  if (silent(line)) return [area, outline];
  for (const points of pieces(line, end)) {
    let text = "", before = null;
    for (const [at, value] of points) {
      const [px, py] = [x(at).toFixed(1), y(plot, value).toFixed(1)];
      text += before === null ? `${px} ${py}` : line.steps && before !== py ? `H${px}V${py}` : `L${px} ${py}`;
      before = py;
    }
    outline += `M${text}`;
    area += `M${x(points[0][0]).toFixed(1)} ${plot.bottom}L${text}V${plot.bottom}Z`;
  }
  return [area, outline];
}

function drawMarks({ end, plots, x }) {
  const shapes = [];
  for (const event of state.events) {
    if (event.kind !== "decision" || event.at < end - SPAN_S) continue;
    const up = Number(event.to) > Number(event.from), at = x(event.at), y = plots[1].top - 5;
    const tip = up ? -4 : 4;
    const mark = draw("path", { class: up ? "mark-up" : "mark-down", d: `M${(at - 4).toFixed(1)} ${y - tip / 2}h8l-4 ${tip * 1.6}z` });
    const title = draw("title");
    title.textContent = `${clock(event.at)}: desired ${event.from} → ${event.to}`;
    mark.append(title);
    shapes.push(mark);
  }
  marks.replaceChildren(...shapes);
}

function drawLegend(shape) {
  const sample = chosen === null ? state.samples.at(-1) : nearest(chosen);
  for (const [index, line] of LINES.entries()) {
    put(labels[index].value, number(sample?.[line.at]));
    labels[index].node.hidden = silent(line);
  }
  when.hidden = chosen === null || !sample;
  put(when, when.hidden ? "" : clock(sample[0]));
  hair.setAttribute("visibility", chosen === null || !sample ? "hidden" : "visible");
  if (chosen !== null && sample) {
    const at = Math.round(shape.x(sample[0])) + 0.5;
    for (const [name, value] of [["x1", at], ["x2", at], ["y1", TOP], ["y2", shape.plots[1].bottom]]) hair.setAttribute(name, value);
  }
  return sample;
}

const nearest = (at) =>
  state.samples.reduce((best, one) => (Math.abs(one[0] - at) < Math.abs(best[0] - at) ? one : best), state.samples[0] ?? null);

export function drawChart() {
  if (!size.width) return;
  const shape = frame();
  const key = [size.width, size.height, shape.plots[0].most, shape.plots[1].most, Math.floor(shape.end)].join();
  if (key !== drawnGrid) drawGrid(shape);
  drawnGrid = key;
  for (const [index, line] of LINES.entries()) {
    const [area, outline] = trace(line, shape), [filled, drawn] = paths[index];
    filled?.setAttribute("d", area);
    drawn.setAttribute("d", outline);
  }
  drawMarks(shape);
  drawLegend(shape);
}

function choose(at, aloud) {
  chosen = at;
  if (!size.width) return;
  const sample = drawLegend(frame());
  if (aloud && sample) {
    const facts = LINES.map((line) => `${line.label} ${number(sample[line.at])}`);
    put("readout", `${clock(sample[0])}: ${facts.join(", ")}`);
  }
}

box.addEventListener("pointermove", (event) => {
  const across = (event.offsetX - LEFT) / (size.width - LEFT - RIGHT);
  choose((state.samples.at(-1)?.[0] ?? now()) - SPAN_S * (1 - Math.min(1, Math.max(0, across))), false);
});
box.addEventListener("pointerleave", () => choose(null, false));
box.addEventListener("blur", () => choose(null, false));
box.addEventListener("keydown", (event) => {
  const end = state.samples.at(-1)?.[0] ?? now(), step = event.shiftKey ? 60 : 5;
  const next = { ArrowLeft: (chosen ?? end) - step, ArrowRight: (chosen ?? end) + step, Home: state.samples[0]?.[0] ?? end, End: end }[event.key];
  if (event.key === "Escape") choose(null, false);
  if (next === undefined) return;
  event.preventDefault();
  choose(Math.min(end, Math.max(end - SPAN_S, next)), true);
});
new ResizeObserver(([entry]) => {
  size = { width: entry.contentRect.width, height: entry.contentRect.height };
  svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  drawChart();
}).observe(box);
