"""A real headless Chromium that opens reports from disk, and writes down all that it complains about or asks the network for."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reports.page import write_page
from sim import load, run

CHROMIUM = shutil.which("chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")


@pytest.fixture(scope="module")
def shop():
    """A small run under a fault."""
    return run(load(Path(__file__).with_name("shop.yaml")))


@pytest.fixture(scope="module")
def chromium(shop):
    """The browser. Playwright keeps an event loop running, beside which no other can: it comes after the run and goes with the module."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page that was opened, what went wrong in it, and what it asked the network for."""

    page: object
    complaints: list = field(default_factory=list)
    requests: list = field(default_factory=list)


@pytest.fixture
def opened(chromium):
    """Open a file: `opened(path, width=390, color_scheme="dark").page`."""
    contexts = []

    def open_page(path: Path, width: int = 1280, **options) -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(15_000)
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.complaints.append(message.text) if message.type in ("error", "warning") else None)
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("request", lambda request: found.requests.append(request.url) if request.url != path.as_uri() else None)
        found.page.goto(path.as_uri())
        return found

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def report(shop, tmp_path_factory):
    """Its page in English."""
    path = tmp_path_factory.mktemp("a run's folder") / "report.html"
    write_page(shop, path)
    return path
