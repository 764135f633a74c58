// The charts over time: outcomes, latency, heat map, breakers, workers.

const X = EDGES;
const OUTCOMES = [["ok", "--ok"], ["degraded", "--degraded"], ["rejected", "--rejected"], ["failed", "--failed"]];
const LATENCIES = [["max", "--idle", 1], ["p99", "--failed", 2], ["p90", "--slow", 1.6], ["p50", "--line", 2.2]];
let group = DATA.groups[0];
const rate = (counts) => counts.map((count, bin) => count / widthOf(bin));

const PRESENT = OUTCOMES.filter(([name]) => DATA.groups.some((one) => one.ended[name]));

function outcomeRows() {
  const rows = PRESENT.map(([name]) => every(rate(group.ended[name] ?? new Array(BINS).fill(0))));
  return [X, ...stacked(rows), every(rate(group.offered))];
}

function outcomesPlot() {
  const perSecond = (counts, index) => counts ? `${short(counts[Math.min(index, BINS - 1)] / widthOf(Math.min(index, BINS - 1)))}/s` : "0/s";
  return timePlot($("plot-outcomes"), {
    height: 250, label: T("chart outcomes"), data: outcomeRows(),
    series: [
      ...PRESENT.map(([name, color], place) => ({label: T(`outcome ${name}`), color, width: 0,
        fill: place === 0 ? () => faded(color, 0.8) : undefined, value: (index) => perSecond(group.ended[name], index)})),
      {label: T("offered"), color: "--ink", width: 1.2, dash: [4, 3], value: (index) => perSecond(group.offered, index)},
    ],
    bands: PRESENT.slice(1).map(([, color], place) => [place + 2, place + 1, color]),
  });
}

const latencyRows = () => [X, ...LATENCIES.map(([name]) => every(group.latency[name].map((value) => value == null ? null : Math.max(value, 0.001))))];
const decades = (u, low, high) => low == null || !(low > 0) ? [1, 1000] : [10 ** Math.floor(Math.log10(low) + 1e-9), 10 ** Math.ceil(Math.log10(high * 1.05))];
const logAxis = {
  values: (u, splits) => splits.map(milliseconds),
  splits: (u, axis, low, high) => {
    const found = [], steps = high / low > 500 ? [1] : [1, 2, 5];
    for (let power = Math.floor(Math.log10(low) + 1e-9); 10 ** power <= high * 1.001; power += 1) found.push(...steps.map((step) => step * 10 ** power));
    return found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  },
  filter: (u, splits) => splits,
};

function latencyPlot() {
  return timePlot($("plot-latency"), {
    height: 250, label: T("chart latency"), data: latencyRows(), scale: {distr: 3, log: 10, range: decades}, axis: logAxis,
    series: LATENCIES.map(([name, color, width]) => ({label: name, color, width, value: (index) => milliseconds(group.latency[name][Math.min(index, BINS - 1)])})),
  });
}

function heatPlot() {
  const {edges, rows, cells} = DATA.heat;
  const columns = Array.from({length: edges.length - 1}, () => []);
  let most = 1;
  for (let at = 0; at < cells.length; at += 3) {
    columns[cells[at]].push([cells[at + 1], cells[at + 2]]);
    most = Math.max(most, cells[at + 2]);
  }
  const draw = (u) => {
    const stops = [0, 1, 2, 3].map((index) => colour(`--heat-${index}`));
    u.ctx.save();
    u.ctx.beginPath();
    u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    u.ctx.clip();
    columns.forEach((column, at) => {
      if (edges[at + 1] < time.from || edges[at] > time.until) return;
      const [left, right] = [Math.round(u.valToPos(edges[at], "x", true)), Math.round(u.valToPos(edges[at + 1], "x", true))];
      for (const [row, count] of column) {
        const [low, high] = [Math.round(u.valToPos(rows[row], "y", true)), Math.round(u.valToPos(rows[row + 1], "y", true))];
        u.ctx.fillStyle = mixed(stops, Math.log(count) / Math.log(Math.max(most, 2)));
        u.ctx.fillRect(left, high, Math.max(right - left, 1), Math.max(low - high, 1));
      }
    });
    u.ctx.restore();
  };
  const total = columns.map((column) => sum(column.map(([, count]) => count)));
  const under = (u, index) => {
    const value = u.cursor.top >= 0 ? u.posToVal(u.cursor.top, "y") : NaN;
    const found = columns[index]?.find(([row]) => rows[row] <= value && value < rows[row + 1]);
    return found ? `${number(found[1])} (${milliseconds(rows[found[0]])} – ${milliseconds(rows[found[0] + 1])})` : "";
  };
  // uPlot writes its legend when the column changes; the cell changes with the height, too
  const moved = (u) => {
    const text = u.root.querySelectorAll(".u-legend .u-value")[2].firstChild;
    text.nodeValue = u.cursor.idx != null && u.over.matches(":hover") ? under(u, u.cursor.idx) : "";
  };
  return timePlot($("plot-heat"), {
    height: 250, label: T("chart heat"), draw, moved, data: [edges, edges.map(() => rows[0]), edges.map(() => null)],
    scale: {distr: 3, log: 10, range: () => [rows[0], rows[rows.length - 1] * (rows[rows.length - 1] / rows[0]) ** 0.1]}, axis: logAxis,
    series: [{label: T("requests there"), width: 0, value: (index) => number(total[Math.min(index, total.length - 1)])},
      {label: T("under pointer"), width: 0, legendOnly: true, value: () => ""}],
  });
}

function mixed(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1), index = Math.min(Math.floor(place), stops.length - 2), part = place - index;
  const channel = (stop, at) => parseInt(stop.slice(at, at + 2), 16);
  return `rgb(${[1, 3, 5].map((at) => Math.round(channel(stops[index], at) * (1 - part) + channel(stops[index + 1], at) * part)).join(",")})`;
}

const STATES = {closed: ["--ok", 0.22], open: ["--failed", 1], half_open: ["--half", 1], forced_open: ["--failed", 1], disabled: ["--idle", 0.5], metrics_only: ["--idle", 0.5]};
const stateAt = (breaker, at) => breaker.stays.find(([, from, until]) => from <= at && at < until)?.[0] ?? breaker.stays[breaker.stays.length - 1][0];
const oneEdge = new Set(DATA.breakers.map((breaker) => breaker.edge)).size === 1;
const edgeName = (edge) => edge.replace("->", " → ");
const breakerName = (breaker) => !breaker.caller ? edgeName(breaker.edge) : oneEdge ? breaker.caller : `${breaker.caller} → ${breaker.edge.split("->")[1]}`;

function breakersPlot() {
  const openFor = (breaker) => sum(breaker.stays.filter(([state]) => state !== "closed").map(([, from, until]) => until - from));
  const shown = [...DATA.breakers].sort((one, other) => openFor(other) - openFor(one)).slice(0, 16).sort((one, other) => breakerName(one) < breakerName(other) ? -1 : 1);
  const height = 26;
  const draw = (u) => {
    const {ctx} = u, ratio = devicePixelRatio, {left, top, width} = u.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, u.bbox.height);
    ctx.clip();
    ctx.font = `${12 * ratio}px system-ui, sans-serif`;
    [ctx.textBaseline, ctx.textAlign] = ["middle", "left"];
    shown.forEach((breaker, row) => {
      const y = top + (row * height + 16) * ratio, tall = (height - 6) * ratio;
      for (const [state, from, until] of breaker.stays) {
        const [x, to] = [u.valToPos(from, "x", true), u.valToPos(until, "x", true)];
        const [name, alpha] = STATES[state] ?? STATES.disabled;
        ctx.fillStyle = faded(name, alpha);
        ctx.fillRect(x, y, Math.max(to - x, ratio), tall);
      }
      ctx.fillStyle = colour("--ink");
      ctx.fillText(breakerName(breaker), left + 8 * ratio, y + tall / 2 + ratio);
    });
    ctx.restore();
  };
  const plot = timePlot($("plot-breakers"), {
    height: shown.length * height + 56, label: T("chart breakers"), draw, data: [X, ...shown.map(() => X.map(() => null))],
    axis: {values: () => [], grid: {show: false}, ticks: {show: false}}, scale: {range: () => [0, 1]},
    series: shown.map((breaker) => ({label: breakerName(breaker), width: 0, value: (index) => T(stateAt(breaker, X[index]))})),
  });
  const seen = Object.keys(STATES).filter((state) => shown.some((breaker) => breaker.stays.some(([one]) => one === state)));
  $("plot-breakers").before(el("p", {class: "key"}, oneEdge ? el("b", {}, edgeName(shown[0].edge)) : null, ...seen.map((state) => {
    const [name, alpha] = STATES[state];
    return el("span", {}, el("i", {class: "swatch", style: {background: `color-mix(in srgb, var(${name}) ${100 * alpha}%, transparent)`}}), T(state));
  })));
  return plot;
}

function workerRows(service) {
  const queue = service.queue.length ? service.queue : new Array(BINS).fill(0);
  const both = service.busy.map((value, bin) => value == null ? null : value + (queue[bin] || 0));
  return [X, every(service.busy), every(both), X.map(() => service.capacity)];
}

function workersPlot(place, service, height = 210, below = null) {
  let current = service;
  const at = (row, index) => row.length ? short(row[Math.min(index, BINS - 1)]) : "–";
  const plot = timePlot(place, {
    height, label: T("chart workers"), data: workerRows(service), below,
    scale: {range: (u, low, high) => {
      const top = Math.max(...u.data[2].map((value) => value ?? 0), 1);
      return [0, (current.capacity && current.capacity < 6 * top ? Math.max(current.capacity, top) : top) * 1.15];
    }},
    series: [
      {label: T("busy"), color: "--line", width: 0, fill: () => faded("--line", 0.75), value: (index) => at(current.busy, index)},
      {label: T("queue"), color: "--rejected", width: 0, value: (index) => at(current.queue, index)},
      {label: T("capacity"), color: "--ink", width: 1.3, dash: [2, 3], value: () => number(current.capacity)},
    ],
    bands: [[2, 1, "--rejected"]],
  });
  return {plot, show(next) { current = next; plot.setData(workerRows(next), false); plot.setScale("x", {min: time.from, max: time.until}); }};
}

function overTime() {
  zoomButtons();
  const filtered = [];
  if (PRESENT.length) filtered.push([outcomesPlot(), outcomeRows], [latencyPlot(), latencyRows]);
  else for (const name of ["outcomes", "latency"]) $(`plot-${name}`).closest("figure").hidden = true;
  if (DATA.heat) heatPlot(); else $("plot-heat").closest("figure").hidden = true;
  if (DATA.breakers.length) breakersPlot(); else $("plot-breakers").closest("figure").hidden = true;

  const choice = $("group");
  DATA.groups.forEach((one, index) => choice.append(el("option", {value: index}, [one.workload, one.request].filter(Boolean).join(": ") || T("all requests"))));
  choice.addEventListener("change", () => {
    group = DATA.groups[choice.value];
    for (const [plot, rows] of filtered) {
      plot.setData(rows(), false);
      plot.setScale("x", {min: time.from, max: time.until});
    }
  });

  if (!DATA.services.length) { $("plot-workers").closest("figure").hidden = true; return; }
  const service = $("service");
  DATA.services.forEach((one, index) => service.append(el("option", {value: index}, one.name)));
  const workers = workersPlot($("plot-workers"), DATA.services[0]);
  service.addEventListener("change", () => workers.show(DATA.services[service.value]));
}
