// The service graph at a moment or over the whole run, and one edge or node of it over time.

const graph = {
  first: 0, last: BINS - 1, whole: true,

  // bins that belong to the moment: about a sixtieth of the run around it
  at(time) {
    const half = Math.max(DATA.duration / 120, widthOf(0) / 2);
    [this.first, this.last] = [binAt(Math.max(0, time - half)), binAt(Math.min(DATA.duration - 1e-9, time + half - 1e-9))];
  },

  all() {
    [this.first, this.last] = [DATA.warmup > 0 ? Math.min(binAt(DATA.warmup + widthOf(0) / 2), BINS - 1) : 0, BINS - 1];
  },

  get seconds() { return EDGES[this.last + 1] - EDGES[this.first]; },
  total(row) { return sum(row.slice(this.first, this.last + 1)); },
  mean(row) {
    const there = row.slice(this.first, this.last + 1).filter((value) => value != null);
    return there.length ? sum(there) / there.length : null;
  },
};

const severity = (share) => share <= 0 ? 0 : share < 0.01 ? 1 : share < 0.05 ? 2 : share < 0.25 ? 3 : 4;

function openBreaker(edge) {
  const mine = DATA.breakers.filter((breaker) => breaker.edge === `${edge.source}->${edge.target}`);
  const [from, until] = [EDGES[graph.first], EDGES[graph.last + 1]];
  return mine.filter((breaker) => breaker.stays.some(([state, start, end]) => state.endsWith("open") && state !== "half_open" && start < until && end > from)).length;
}

function paintEdge(edge, busiest) {
  const calls = graph.total(edge.calls), bad = graph.total(edge.bad), attempts = graph.total(edge.attempts), degraded = graph.total(edge.degraded);
  const perSecond = calls / graph.seconds, level = severity(calls ? bad / calls : 0), {group: place, line, title, text} = edge.drawn;
  const spared = level < 3 && degraded > 0.05 * calls;
  place.setAttribute("class", `edge error-${level}${spared ? " spared" : ""}${calls ? "" : " quiet"}${edge.chosen ? " chosen" : ""}`);
  line.setAttribute("marker-end", `url(#head-${spared ? "spared" : level})`);
  line.style.strokeWidth = calls ? 1.2 + 6.5 * Math.sqrt(perSecond / busiest) : 1;
  const names = {source: edge.source, target: edge.target};
  title.textContent = calls ? T("edge label", {...names, rate: short(perSecond), bad: percent(bad / calls), attempts: number(attempts / calls, 2)}) : T("edge label quiet", names);
  const open = graph.whole ? 0 : openBreaker(edge);
  text.textContent = calls ? `${short(perSecond)}/s` + (level > 1 ? ` · ${percent(bad / calls)}` : "") : "";
  text.classList.toggle("troubled", level > 1);
  if (open) {
    const sign = document.createElementNS("http://www.w3.org/2000/svg", "tspan");
    sign.setAttribute("class", "open");
    sign.textContent = " ⊘";
    text.append(sign);
  }
}

function paintNode(node) {
  const {group: place, busy, kind, height} = node.drawn, service = node.service;
  const level = service ? graph.mean(service.busy) : null, share = level != null && service.capacity ? Math.min(level / service.capacity, 1) : null;
  const waiting = service && service.queue.length ? graph.mean(service.queue) : 0;
  busy.setAttribute("height", height * (share ?? 0));
  busy.setAttribute("y", height * (1 - (share ?? 0)));
  place.classList.toggle("full", share != null && share >= 0.95);
  const tight = share != null && share >= 0.3 || waiting >= 1;
  kind.textContent = tight ? `${percent(share)} ${waiting >= 0.5 ? `+ ${short(Math.round(waiting))}` : ""}`.trim() : kind.dataset.kind;
}

function paintGraph(parts) {
  for (const edge of parts.edges) paintEdge(edge, parts.busiest);
  for (const node of parts.nodes) paintNode(node);
  const [from, until] = [EDGES[graph.first], EDGES[graph.last + 1]];
  const faults = [...new Set(DATA.faults.filter((fault) => fault.start < until && fault.until > from).map((fault) => fault.name))];
  const when = graph.whole ? T("whole run") : T("between", {start: seconds(from), until: seconds(until)});
  $("moment-text").textContent = `${when} · ${faults.length ? T("fault now", {names: faults.join(", ")}) : T("no fault now")}`;
}

function drawnParts() {
  const svg = $("graph-svg"), found = {edges: [], nodes: [], busiest: 1};
  const texts = [...svg.querySelectorAll(".rate")];
  const services = new Map(DATA.services.map((service) => [service.name, service]));
  for (const place of svg.querySelectorAll(".edge")) {
    const edge = DATA.calls.find((one) => one.source === place.dataset.source && one.target === place.dataset.target);
    const text = texts.find((one) => one.dataset.source === edge.source && one.dataset.target === edge.target);
    edge.drawn = {group: place, line: place.querySelector(".line"), title: place.querySelector("title"), text};
    found.busiest = Math.max(found.busiest, sum(edge.calls) / DATA.duration);
    found.edges.push(edge);
  }
  for (const place of svg.querySelectorAll(".node")) {
    found.nodes.push({name: place.dataset.node, service: services.get(place.dataset.node),
      drawn: {group: place, busy: place.querySelector(".busy"), kind: place.querySelector(".kind"), height: +place.querySelector(".box").getAttribute("height")}});
  }
  return found;
}

function edgePlots(place, edge) {
  const good = edge.calls.map((count, bin) => count - edge.bad[bin] - edge.degraded[bin]);
  const at = (row, index) => `${short(row[Math.min(index, BINS - 1)] / widthOf(Math.min(index, BINS - 1)))}/s`;
  const [above, below] = [el("div", {class: "canvas"}), el("div", {class: "canvas"})];
  const title = el("p", {}, el("b", {}, T("edge chart", {edge: `${edge.source} → ${edge.target}`})));
  place.replaceChildren(title, el("div", {}, above), el("div", {}, below));
  const calls = timePlot(above, {
    height: 190, label: title.textContent, data: [X, ...stacked([good, edge.degraded, edge.bad].map((counts) => every(rate(counts)))), every(rate(edge.attempts))],
    series: [
      {label: T("calls fine"), color: "--ok", width: 0, fill: () => faded("--ok", 0.8), value: (index) => at(good, index)},
      {label: T("calls degraded"), color: "--degraded", width: 0, value: (index) => at(edge.degraded, index)},
      {label: T("calls bad"), color: "--failed", width: 0, value: (index) => at(edge.bad, index)},
      {label: T("attempts"), color: "--ink", width: 1.4, dash: [4, 3], value: (index) => at(edge.attempts, index)},
    ],
    bands: [[2, 1, "--degraded"], [3, 2, "--failed"]],
  });
  const rows = ["p99", "p50"].map((name) => every(edge[name].map((value) => value == null ? null : Math.max(value, 0.1))));  // a refusal takes no time
  const latency = timePlot(below, {
    height: 170, label: T("duration"), data: [X, ...rows], scale: {distr: 3, log: 10, range: decades}, axis: logAxis,
    series: [["p99", "--failed"], ["p50", "--line"]].map(([name, color]) => ({label: name, color, width: 2, value: (index) => milliseconds(edge[name][Math.min(index, BINS - 1)])})),
  });
  return [calls, latency];
}

function choosing(parts) {
  const choice = $("part"), place = $("detail");
  let drawn = [];
  parts.edges.forEach((edge, index) => choice.append(el("option", {value: `edge ${index}`}, `${edge.source} → ${edge.target}`)));
  parts.nodes.forEach((node, index) => { if (node.service) choice.append(el("option", {value: `node ${index}`}, node.name)); });
  const show = () => {
    const [kind, index] = choice.value.split(" ");
    for (const plot of drawn) dropPlot(plot);
    place.replaceChildren();
    drawn = [];
    parts.edges.forEach((edge, at) => { edge.chosen = kind === "edge" && at === +index; });
    parts.nodes.forEach((node, at) => node.drawn.group.classList.toggle("chosen", kind === "node" && at === +index));
    if (kind === "edge") drawn = edgePlots(place, parts.edges[index]);
    if (kind === "node") {
      const canvas = el("div", {class: "canvas"});
      place.append(el("p", {}, el("b", {}, T("node chart", {node: parts.nodes[index].name}))), el("div", {}, canvas));
      drawn = [workersPlot(canvas, parts.nodes[index].service).plot];
    }
    paintGraph(parts);
  };
  choice.addEventListener("change", show);
  const choose = (value) => { choice.value = value; if (choice.value === value) show(); };
  parts.edges.forEach((edge, index) => edge.drawn.group.addEventListener("click", () => choose(`edge ${index}`)));
  parts.nodes.forEach((node, index) => node.drawn.group.addEventListener("click", () => choose(`node ${index}`)));
}

function player(slider) {
  const button = $("play");
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; button.textContent = T("play"); button.setAttribute("aria-pressed", "false"); };
  button.addEventListener("click", () => {
    if (timer) { stop(); return; }
    if (graph.whole || +slider.value >= BINS - 1) slider.value = 0;
    button.textContent = T("pause");
    button.setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      if (+slider.value >= BINS - 1) { stop(); return; }
      slider.value = +slider.value + 1;
      slider.dispatchEvent(new Event("input"));
    }, 120);
  });
}

function serviceGraph() {
  if (!$("graph-svg")) return;
  const parts = drawnParts(), slider = $("moment"), whole = $("whole");
  slider.max = BINS - 1;
  const paint = () => {
    graph.whole ? graph.all() : graph.at(time.pinned);
    whole.setAttribute("aria-pressed", graph.whole);
    if (!graph.whole) slider.value = binAt(time.pinned);
    slider.setAttribute("aria-valuetext", graph.whole ? T("whole run") : seconds(time.pinned));
    paintGraph(parts);
  };
  slider.addEventListener("input", () => time.pin(EDGES[+slider.value] + widthOf(+slider.value) / 2));
  whole.addEventListener("click", () => time.pin(null));
  time.watch((what) => { if (what === "pin") { graph.whole = time.pinned == null; paint(); } });
  choosing(parts);
  player(slider);
  paint();
}
