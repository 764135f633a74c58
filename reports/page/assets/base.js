// The run's data, texts and numbers in the page's language, and making elements. Text from the run only ever goes in as text.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SPANISH = DATA.lang === "es";
const $ = (id) => document.getElementById(id);

function T(key, values = {}) {
  return DATA.texts[key].replace(/\{(\w+)\}/g, (whole, name) => name in values ? values[name] : whole);
}

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "style") for (const [property, to] of Object.entries(value)) made.style.setProperty(property, to);
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

function number(value, digits = 0) {
  if (value == null || !isFinite(value)) return "–";
  const text = value.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
  if (!SPANISH) return text;
  return text.replaceAll(",", Math.abs(value) >= 10000 ? "\u2009" : "").replace(".", ",");
}

function short(value) {
  if (value == null || !isFinite(value)) return "–";
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const text = number(value, Math.min(digits, 9));
  return digits ? text.replace(/([.,]\d*?)0+$/, "$1").replace(/[.,]$/, "") : text;
}

function percent(share) {
  if (share == null || !isFinite(share)) return "–";
  const value = 100 * share;
  const shown = share <= 0 || share >= 1 ? number(value) : number(Math.min(99.9, Math.max(0.1, value)), value >= 10 ? 0 : 1);
  return `${shown} %`;
}

function milliseconds(value) {
  if (value == null || !isFinite(value)) return "–";
  if (value >= 999.5) return `${short(value / 1000)} s`;
  return value >= 0.9995 || value === 0 ? `${short(value)} ms` : `${short(value * 1000)} µs`;
}

const LONG = 600;  // seconds; from here on minutes and hours read better, as in reports/texts.py

function seconds(value) {
  return value < LONG ? `${number(value, DATA.duration >= 20 ? 1 : 2)} s` : clock(value);
}

function clock(value) {
  const whole = Math.round(value), parts = [[Math.floor(whole / 3600), "h"], [Math.floor(whole / 60) % 60, "min"], [whole % 60, "s"]];
  return parts.filter(([many]) => many).map(([many, unit]) => `${number(many)} ${unit}`).join(" ");
}

// Colours live in the style sheet; canvas wants them as they are now, light or dark.
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function faded(name, alpha) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16));
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

let saying = 0;
function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => { $("live").textContent = text; }, 250);
}

const EDGES = DATA.edges;
const BINS = EDGES.length - 1;
const widthOf = (bin) => EDGES[bin + 1] - EDGES[bin];
const sum = (values) => values.reduce((total, value) => total + value, 0);

function binAt(time) {
  let low = 0, high = BINS - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (EDGES[middle] <= time) low = middle; else high = middle - 1;
  }
  return low;
}
