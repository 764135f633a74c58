// Requests as waterfalls: a list that can be filtered; one that is opened draws its spans and log lines then.

const GROUPS = ["failed", "slow", "degraded", "ordinary"];
const rowsOf = (columns) => {
  const names = Object.keys(columns);
  return names.length ? columns[names[0]].map((_, index) => Object.fromEntries(names.map((name) => [name, columns[name][index]]))) : [];
};

function traceItem(trace) {
  const inside = el("div", {class: "inside"});
  const item = el("details", {class: "trace", "data-group": trace.group},
    el("summary", {},
      el("span", {class: `badge ${trace.outcome}`}, T(`one ${trace.outcome}`)),
      el("span", {class: "took"}, milliseconds(trace.took)),
      el("span", {class: "muted"}, trace.status),
      el("span", {class: "what"}, trace.request),
      el("span", {class: "muted"}, (["slow", "ordinary"].includes(trace.group) ? `${T(`group ${trace.group}`)} · ` : "") + T("began", {at: seconds(trace.at)}))),
    inside);
  item.addEventListener("toggle", () => { if (item.open && !inside.childElementCount) fillTrace(inside, trace); });
  return item;
}

function fillTrace(place, trace) {
  const spans = rowsOf(trace.spans), logs = rowsOf(trace.logs);
  place.append(
    el("p", {class: "muted"}, `${T("request")} ${trace.id} · ${trace.workload} · ${T("trace id")} `, el("code", {}, trace.trace)),
    el("p", {}, spent(trace, spans)), traceKey(), waterfall(trace, spans), logTable(logs));
  if (trace.hidden) place.append(el("p", {class: "muted"}, T("hidden spans", {count: trace.hidden})));
}

function spent(trace, spans) {
  const shares = new Map();
  for (const [index, start, end] of trace.path) shares.set(spans[index].where, (shares.get(spans[index].where) ?? 0) + end - start);
  const first = [...shares].sort((one, other) => other[1] - one[1]).slice(0, 4);
  return T("spent", {parts: first.map(([name, took]) => `${name} ${percent(took / trace.answered)}`).join(", ")});
}

function traceKey() {
  const keys = [["serving", "--line"], ["calling", "--idle"], ["queued", "--rejected"], ["failing", "--failed"], ["critical", "--ink"]];
  return el("p", {class: "trace-key"}, ...keys.map(([text, name]) => el("span", {}, el("i", {style: {"--tone": `var(${name})`}}), T(text))));
}

// 1, 2 or 5 times a power of ten, so that four to ten of them fill the way.
function roundStep(whole) {
  const power = 10 ** Math.floor(Math.log10(whole)), rest = whole / power;
  return power * (rest < 2 ? 0.2 : rest < 5 ? 0.5 : 1);
}

function waterfall(trace, spans) {
  const until = trace.until || 1, step = roundStep(until);
  const scale = (value) => `${Math.max(0, 100 * value / until)}%`;
  const times = Array.from({length: Math.floor(until / step * 1.0001) + 1}, (_, index) => index * step);
  const head = el("div", {class: "fall head"}, el("span", {}, T("span")),
    el("div", {class: "track", "aria-hidden": "true"}, ...times.map((at) => el("span", {class: at > 0.93 * until && "last", style: {left: scale(at)}}, milliseconds(at)))));
  const rows = spans.map((span, index) => spanRow(span, index, trace, scale));
  const place = el("div", {class: "falls", role: "list", style: {"--step": scale(step)}}, head, ...rows.flat());
  folding(spans, rows);
  return place;
}

function spanRow(span, index, trace, scale) {
  const serving = ["server", "consumer", "internal"].includes(span.kind), bad = span.error || span.outcome === "failed" || span.outcome === "rejected";
  const track = el("div", {class: "track", "aria-hidden": "true"},
    el("div", {class: `length ${serving ? "server" : "call"}${bad ? " bad" : ""}`, style: {left: scale(span.start), width: scale(span.took)}}));
  if (span.queued) track.append(el("div", {class: "waiting", style: {left: scale(span.start), width: scale(span.queued)}}));
  for (const [at, start, end] of trace.path) if (at === index) track.append(el("div", {class: "critical", style: {left: scale(start), width: scale(end - start)}}));
  if (trace.until > trace.answered * 1.001) track.append(el("div", {class: "answered", title: T("answered here"), style: {left: scale(trace.answered)}}));
  const end = (span.start + span.took) / (trace.until || 1);
  track.append(el("span", {class: "figure", style: end < 0.85 ? {left: scale(span.start + span.took)} : {right: `${100 - 100 * span.start / (trace.until || 1)}%`}}, milliseconds(span.took)));
  const words = `${span.label}, ${milliseconds(span.took)}${span.error ? `, ${span.error}` : ""}`;
  const name = el("div", {class: "name", title: words},
    el("button", {type: "button", class: "fold", "aria-expanded": "true", "aria-label": span.label}, "▾"),
    el("span", {}, span.label), span.error ? el("span", {class: "error"}, span.error) : null,
    el("span", {class: "unseen"}, milliseconds(span.took)));
  const row = el("div", {class: "fall", role: "listitem", style: {"--depth": Math.min(span.depth, 14)}}, name, track);
  const own = Object.entries(span.attributes ?? {});
  if (own.length) row.append(el("div", {class: "attributes"}, own.map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`).join("  ")));
  return row;
}

function folding(spans, rows) {
  const folded = new Set();
  const paint = () => {
    let hiddenBelow = Infinity;
    spans.forEach((span, index) => {
      if (span.depth <= hiddenBelow) hiddenBelow = Infinity;
      rows[index].hidden = hiddenBelow < Infinity;
      if (hiddenBelow === Infinity && folded.has(index)) hiddenBelow = span.depth;
    });
  };
  spans.forEach((span, index) => {
    const button = rows[index].querySelector(".fold");
    if (!(spans[index + 1]?.depth > span.depth)) { button.classList.add("none"); button.tabIndex = -1; return; }
    button.addEventListener("click", () => {
      folded.has(index) ? folded.delete(index) : folded.add(index);
      button.textContent = folded.has(index) ? "▸" : "▾";
      button.setAttribute("aria-expanded", !folded.has(index));
      paint();
    });
  });
}

function logTable(logs) {
  if (!logs.length) return el("p", {class: "muted"}, T("no logs"));
  const bad = logs.filter((line) => line.level === "error").length;
  return el("details", {class: "logs", open: bad > 0}, el("summary", {}, `${T("logs")} (${number(logs.length)})`),
    el("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": T("logs")}, el("table", {},
      el("thead", {}, el("tr", {}, ...["time", "level", "who", "message"].map((key) => el("th", {scope: "col"}, T(key))))),
      el("tbody", {}, ...logs.map((line) => el("tr", {class: `level-${line.level}`}, el("td", {}, milliseconds(line.at)), el("td", {}, DATA.texts[`level ${line.level}`] ?? line.level), el("td", {}, line.service),
        el("td", {}, `${line.message} `, el("code", {}, Object.entries(line.fields).map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`).join(" ")))))))));
}

function traceList() {
  const place = $("trace-list");
  if (!DATA.traces.length) { place.append(el("p", {class: "note"}, T("no traces"))); return; }
  const items = DATA.traces.map((trace) => [trace, traceItem(trace), JSON.stringify([trace.request, trace.status, trace.workload, trace.id, trace.outcome, trace.spans, trace.logs]).toLowerCase()]);
  const none = el("p", {class: "note", hidden: true}, T("none fits"));
  place.append(...items.map(([, item]) => item), none);
  let group = "";
  const search = $("find-trace");
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    for (const [trace, item, text] of items) {
      item.hidden = (group && trace.group !== group) || !text.includes(wanted);
      shown += !item.hidden;
    }
    none.hidden = shown > 0;
    $("found").textContent = T("shown of", {shown: number(shown), total: number(items.length)});
  };
  const buttons = ["", ...GROUPS.filter((name) => DATA.traces.some((trace) => trace.group === name))].map((name) =>
    el("button", {type: "button", "aria-pressed": name === "", onclick: (event) => {
      group = name;
      for (const button of buttons) button.setAttribute("aria-pressed", button === event.currentTarget);
      filter();
    }}, T(`group ${name || "all"}`)));
  $("groups").append(...buttons);
  search.addEventListener("input", filter);
  filter();
}
