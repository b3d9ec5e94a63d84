// The axis of time of a chart, drawn anew with the frames: the ticks of what is zoomed.
const axis = by("axis");
const knots = axis.dataset.knots.split(" ").map((knot) => knot.split(",").map(Number));

const between = (value, from, to) => {
  let right = 1;
  while (right < knots.length - 1 && knots[right][from] < value) right++;
  const [a, b] = [knots[right - 1], knots[right]];
  return b[from] === a[from] ? a[to] : a[to] + ((b[to] - a[to]) * (value - a[from])) / (b[from] - a[from]);
};

frames.addEventListener("drawn", () => {
  const [start, end] = [zoomed.x, zoomed.x + zoomed.w].map((place) => between(place, 0, 1));
  const rough = Math.max(1, (end - start) / Math.max(1, Math.floor(width / 110)));
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= rough * 0.999999);
  const digits = step < 10 ? 3 : step < 100 ? 2 : step < 1000 ? 1 : 0;
  axis.replaceChildren();
  for (let time = Math.ceil(start / step) * step; time <= end; time += step) {
    const at = ((between(time, 1, 0) - zoomed.x) * width) / zoomed.w;
    const x = (10 + at).toFixed(1);
    make("path", axis, { d: "M" + x + " 0V" + (high + 22) });
    if (at > width - 50) continue;
    make("text", axis, { x, dx: 4, y: 13 }).textContent =
      (time / 1000).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) + " ms";
  }
});
