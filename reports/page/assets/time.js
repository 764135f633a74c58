// The one window and the one pinned moment that all charts and the graph share.

const time = {
  from: 0, until: DATA.duration, pinned: null, watchers: [],

  watch(watcher) { this.watchers.push(watcher); },

  show(from, until) {
    const least = Math.min(widthOf(0) * 4, DATA.duration);
    const length = Math.min(Math.max(until - from, least), DATA.duration);
    const start = Math.min(Math.max((from + until - length) / 2, 0), DATA.duration - length);
    if (start === this.from && start + length === this.until) return;
    [this.from, this.until] = [start, start + length];
    this.tell("window");
  },

  zoom(factor, around = (this.from + this.until) / 2) {
    this.show(around - (around - this.from) * factor, around + (this.until - around) * factor);
  },

  whole() { this.show(0, DATA.duration); },

  pin(at) { this.pinned = at; this.tell("pin"); },

  get isWhole() { return this.from <= 0 && this.until >= DATA.duration; },

  tell(what) { for (const watcher of this.watchers) watcher(what); },
};

function zoomButtons() {
  const place = $("zooms");
  const add = (text, from, until) => {
    const button = el("button", {type: "button", onclick: () => time.show(from, until)}, text);
    const mark = () => button.setAttribute("aria-pressed", Math.abs(time.from - from) < 1e-6 && Math.abs(time.until - until) < 1e-6);
    time.watch(mark);
    mark();
    place.append(button);
  };
  add(T("whole"), 0, DATA.duration);
  const spans = new Map();
  for (const {name, start, until} of DATA.faults) {
    const [first, last] = spans.get(name) ?? [start, until];
    spans.set(name, [Math.min(first, start), Math.max(last, until)]);
  }
  for (const [name, [start, until]] of [...spans].slice(0, 8)) {
    const margin = Math.max((until - start) * 0.25, DATA.duration / 60);
    if (start > margin || until + margin < DATA.duration) add(name, Math.max(0, start - margin), Math.min(DATA.duration, until + margin));
  }
}
