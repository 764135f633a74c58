// The page itself: times that lead to the charts, copying, where it lies, printing. Last, everything begins.

function leadToCharts() {
  for (const button of document.querySelectorAll(".when")) {
    button.addEventListener("click", () => {
      const [at, until] = [+button.dataset.at, +button.dataset.until];
      const margin = Math.max((until - at) * 0.4, DATA.duration / 18);
      time.show(at - margin, until + margin);
      time.pin(Math.min(at, DATA.duration - 1e-6));
      $("charts").scrollIntoView();
    });
  }
}

function copying() {
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const source = $(button.dataset.copies);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = T("copied");
        say(T("copied"));
        setTimeout(() => { button.textContent = T("copy"); }, 1500);
      } catch {
        getSelection().selectAllChildren(source);  // the browser does not let us; one key is left to press
      }
    });
  }
}

function ownFolder() {
  if (location.protocol !== "file:") return;
  const folder = decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "").replace(/^\/(?=[A-Za-z]:)/, "");
  $("folder").textContent = /^[\w/.:+-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", "'\\''")}'`;
}

function markSection() {
  const links = new Map([...document.querySelectorAll(".top nav a")].map((link) => [link.hash.slice(1), link]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const [name, link] of links) name === entry.target.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
    }
  }, {rootMargin: "-20% 0px -70% 0px"});
  for (const name of links.keys()) watch.observe($(name));
}

function printing() {
  addEventListener("beforeprint", () => { document.documentElement.classList.add("paper"); redrawAll(); });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("paper"); redrawAll(); });
}

overTime();
serviceGraph();
traceList();
for (const table of document.querySelectorAll(".sortable")) sortable(table);
for (const input of document.querySelectorAll(".find-rows")) filterable(input);
leadToCharts();
copying();
ownFolder();
markSection();
printing();
