// What all time charts have in common, on uPlot: the shared cursor and window, faults shaded, keyboard, a table of the values.

const AXIS = 56;
const plots = new Set();
const every = (row) => [...row, row[row.length - 1]];  // a stepped line needs the end of its last step

function stacked(rows) {
  const total = new Array(rows[0].length).fill(0);
  return rows.map((row) => row.map((value, index) => total[index] += value || 0));
}

const STEPS = [0.001, 0.01, 0.1].flatMap((ten) => [ten, 2 * ten, 5 * ten])  // seconds between two ticks of time
  .concat([1, 2, 5, 10, 20, 30], [1, 2, 5, 10, 15, 20, 30].map((minutes) => 60 * minutes), [1, 2, 3, 4, 6, 12, 24, 48, 96, 240, 480].map((hours) => 3600 * hours));

function tick(at) {
  return at && DATA.duration >= LONG && at % 60 === 0 ? clock(at) : `${number(at, at % 1 ? 1 : 0)} s`;
}

function axisLook() {
  return {stroke: () => colour("--muted"), grid: {stroke: () => colour("--grid"), width: 1}, ticks: {stroke: () => colour("--grid"), width: 1, size: 4},
    font: "12px system-ui, sans-serif"};
}

// series: {label, color, value(index) for the legend, line: {width, dash}, fill, show}
function timePlot(place, {height, series, data, bands = [], axis = {}, scale = {}, draw = null, moved = null, label, below = null}) {
  const options = {
    width: Math.max(place.clientWidth, 260), height,
    padding: [8, 22, 0, 0],
    scales: {x: {time: false, range: () => [time.from, time.until]}, y: {range: (u, low, high) => [0, (high || 1) * 1.12], ...scale}},
    axes: [
      {...axisLook(), size: 30, space: 60, incrs: STEPS, values: (u, splits) => splits.map(tick)},
      {...axisLook(), size: AXIS, space: 34, values: (u, splits) => splits.map(short), ...axis},
    ],
    series: [
      {label: T("time"), value: (u, at) => at == null ? "" : seconds(at)},
      ...series.map((one) => ({
        label: one.label, show: one.show !== false, width: one.width ?? 1.25, dash: one.dash, spanGaps: false, points: {show: false},
        stroke: one.stroke ?? (one.color ? () => colour(one.color) : "transparent"), fill: one.fill, paths: one.paths ?? uPlot.paths.stepped({align: 1}),
        value: (u, value, at, index) => index == null ? "" : one.value(index),
      })),
    ],
    bands: bands.map(([from, to, name]) => ({series: [from, to], fill: () => faded(name, 0.8)})),
    legend: {markers: {width: 0, fill: (u, index) => series[index - 1]?.color ? `var(${series[index - 1].color})` : "transparent"}},
    cursor: {sync: {key: "time"}, y: false, drag: {x: true, y: false, setScale: false}, points: {show: false}},
    hooks: {
      drawClear: [(u) => shadeFaults(u)],
      draw: [(u) => { if (draw) draw(u); nameFaults(u); drawPin(u); }],
      setCursor: [(u) => moved?.(u)],
      setScale: [(u, name) => { if (name === "x") u.fillTable?.(); }],
      setData: [(u) => u.fillTable?.()],
      setSelect: [(u) => {
        if (u.select.width > 4) time.show(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
        u.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
      }],
    },
  };
  const plot = new uPlot(options, data, place);
  plot.over.addEventListener("dblclick", () => time.whole());
  plot.over.addEventListener("click", () => { if (plot.cursor.left >= 0) time.pin(plot.posToVal(plot.cursor.left, "x")); });
  touch(plot);
  keyboard(place, plot, series, label);
  const table = below ?? el("div");
  place.after(table);
  valuesTable(table, plot, series, label);
  plots.add(plot);
  new ResizeObserver(() => { if (place.clientWidth > 0 && Math.abs(place.clientWidth - plot.width) > 1) plot.setSize({width: place.clientWidth, height}); }).observe(place);
  return plot;
}

function dropPlot(plot) {
  plots.delete(plot);
  plot.destroy();
}

function redrawAll() {
  for (const plot of plots) plot.redraw(false, true);
}

time.watch((what) => {
  for (const plot of plots) what === "window" ? plot.setScale("x", {min: time.from, max: time.until}) : plot.redraw(false, false);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);

function shadeFaults(u) {
  const {ctx} = u, {left, top, width, height} = u.bbox;
  const clip = (at) => Math.min(Math.max(u.valToPos(at, "x", true), left), left + width);
  ctx.save();
  const shade = (from, until, fill) => { ctx.fillStyle = fill; ctx.fillRect(clip(from), top, clip(until) - clip(from), height); };
  if (DATA.warmup > 0) shade(0, DATA.warmup, faded("--muted", 0.09));
  for (const fault of DATA.faults) shade(fault.start, fault.until, faded("--fault", 0.1));
  ctx.restore();
}

// written last, so that lines and cells do not cross the names
function nameFaults(u) {
  const {ctx} = u, {left, top, width} = u.bbox, ratio = devicePixelRatio;
  const clip = (at) => Math.min(Math.max(u.valToPos(at, "x", true), left), left + width);
  ctx.save();
  ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`;
  [ctx.textBaseline, ctx.textAlign] = ["top", "left"];
  [ctx.strokeStyle, ctx.lineWidth, ctx.lineJoin] = [colour("--panel"), 3 * ratio, "round"];
  const write = (text, from, until, name, lane) => {
    const room = clip(until) - clip(from) - 8 * ratio;
    if (room < 24 * ratio) return;
    ctx.fillStyle = colour(name);
    const [shown, x, y] = [fitted(ctx, text, room), clip(from) + 4 * ratio, top + (3 + 13 * lane) * ratio];
    ctx.strokeText(shown, x, y);
    ctx.fillText(shown, x, y);
  };
  if (DATA.warmup > 0) write(T("warm-up"), 0, DATA.warmup, "--muted", 0);
  const ends = [];
  for (const fault of DATA.faults) {
    const lane = ends.findIndex((end) => end <= fault.start);
    const place = lane < 0 ? ends.length : lane;
    ends[place] = fault.until;
    if (place < 3) write(fault.name, fault.start, fault.until, "--fault", place);
  }
  ctx.restore();
}

function fitted(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text;
  let cut = text.length;
  while (cut > 1 && ctx.measureText(text.slice(0, cut) + "…").width > room) cut -= 1;
  return text.slice(0, cut) + "…";
}

function drawPin(u) {
  if (time.pinned == null || time.pinned < time.from || time.pinned > time.until) return;
  const {ctx} = u, x = Math.round(u.valToPos(time.pinned, "x", true));
  ctx.save();
  ctx.strokeStyle = colour("--ink");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, u.bbox.top);
  ctx.lineTo(x, u.bbox.top + u.bbox.height);
  ctx.stroke();
  ctx.restore();
}

function touch(plot) {
  const follow = (event) => {
    if (event.pointerType !== "touch") return;
    const box = plot.over.getBoundingClientRect();
    plot.setCursor({left: Math.min(Math.max(event.clientX - box.left, 0), box.width), top: box.height / 2}, true, true);
  };
  plot.over.addEventListener("pointerdown", follow);
  plot.over.addEventListener("pointermove", follow);
}

function keyboard(place, plot, series, label) {
  place.tabIndex = 0;
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", label);
  place.addEventListener("keydown", (event) => {
    const step = (time.until - time.from) / 60 * (event.shiftKey ? 5 : 1);
    const at = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : time.pinned ?? time.from;
    const moves = {ArrowLeft: at - Math.max(step, widthOf(0)), ArrowRight: at + Math.max(step, widthOf(0)), Home: time.from, End: time.until};
    if (event.key in moves) {
      const to = Math.min(Math.max(moves[event.key], time.from), time.until);
      plot.setCursor({left: plot.valToPos(to, "x"), top: 10}, true, true);
      const index = plot.cursor.idx;
      if (index != null) say([seconds(plot.data[0][index]), ...series.filter((one) => one.show !== false && !one.legendOnly).map((one) => `${one.label}: ${one.value(index)}`)].join("; "));
    } else if (event.key === "+" || event.key === "=") time.zoom(0.5, at);
    else if (event.key === "-" || event.key === "−") time.zoom(2, at);
    else if (event.key === "Escape") time.whole();
    else if (event.key === "Enter") time.pin(at);
    else return;
    event.preventDefault();
  });
}

function valuesTable(place, plot, series, label) {
  const body = el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": label});
  const fill = () => {
    if (!details.open) return;
    const shown = series.filter((one) => one.show !== false && !one.legendOnly);
    const rows = plot.data[0].slice(0, BINS).map((at, index) => [at, index]).filter(([at]) => at >= time.from && at < time.until);
    body.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, el("th", {scope: "col"}, T("time")), ...shown.map((one) => el("th", {scope: "col", class: "number"}, one.label)))),
      el("tbody", {}, ...rows.map(([at, index]) => el("tr", {}, el("th", {scope: "row"}, seconds(at)), ...shown.map((one) => el("td", {class: "number"}, one.value(index))))))));
  };
  const details = el("details", {class: "values", ontoggle: fill}, el("summary", {}, T("values")), body);
  place.replaceChildren(details);
  plot.fillTable = fill;
}
