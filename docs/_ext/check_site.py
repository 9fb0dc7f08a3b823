"""Open every page of the built site in a browser, wide and narrow, and say what is wrong with it.

``python docs/_ext/check_site.py SITE [SCREENSHOTS]`` serves the folder on loopback, opens each page in headless
Chromium at 1280 and at 390 points, and fails on an error of a script, a request to another server, an answer of 400 or
more, a formula that is not typeset or is wider than its column, raw TeX, a broken image, a dead link or anchor, and on
a page that scrolls sideways. With a second folder it leaves pictures of the whole pages there, light and dark.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

from playwright.sync_api import Page, Route, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WIDTHS = {"wide": 1280, "narrow": 390}
TEXTS = ("sources/", "genindex", "py-modindex", "search")
"""Pages that nobody wrote: opened wide alone, and of no interest as pictures."""
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

LOOK = """async () => {
    if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
    const faults = [], text = document.querySelector('article') || document.body;
    const visible = e => e.getClientRects().length > 0;
    for (const e of text.querySelectorAll('.math'))
        if (!e.querySelector('mjx-container svg')) faults.push('not typeset: ' + e.textContent.slice(0, 60));
    for (const e of text.querySelectorAll('[data-mml-node="merror"], mjx-merror'))
        faults.push('bad TeX: ' + e.textContent);
    for (const e of text.querySelectorAll('div.math mjx-container svg'))
        if (e.getBoundingClientRect().width > text.getBoundingClientRect().width + 1 && getComputedStyle(
            e.closest('div.math')).overflowX === 'visible') faults.push('formula wider than its column');
    const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
    for (let n = walker.nextNode(); n; n = walker.nextNode())
        if (/\\\\(frac|tfrac|sum|theta|mathrm|lvert|operatorname)\\b|\\$\\$/.test(n.data) && visible(n.parentElement)
            && !n.parentElement.closest('code, pre, script, style, mjx-container'))
            faults.push('raw TeX: ' + n.data.trim().slice(0, 60));
    for (const e of document.images) if (visible(e) && !e.naturalWidth) faults.push('broken image: ' + e.src);
    if (document.documentElement.scrollWidth > window.innerWidth + 1)
        faults.push('scrolls sideways: ' + document.documentElement.scrollWidth + ' points in ' + window.innerWidth);
    return {
        faults: [...new Set(faults)],
        links: [...document.querySelectorAll('a[href]')].map(a => a.href),
        anchors: [...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name),
    };
}"""


class Handler(SimpleHTTPRequestHandler):
    """Files of the site, without a line for each."""

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address at which a folder is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def looked_at(page: Page, base: str, address: str, width: str) -> tuple[list[str], list[str], set[str]]:
    """The faults of one page at one width, its links, and its anchors."""
    faults: list[str] = []

    def allow(route: Route) -> None:
        if route.request.url.startswith((base, "data:", "blob:")):
            route.continue_()
        else:
            faults.append(f"asks another server: {route.request.url}")
            route.abort()

    page.set_viewport_size({"width": WIDTHS[width], "height": 900})
    listeners = {
        "console": lambda m: faults.append(f"console: {m.text}") if m.type == "error" else None,
        "pageerror": lambda e: faults.append(f"script: {e}"),
        "response": lambda r: faults.append(f"status {r.status}: {r.url}") if r.status >= 400 else None,
    }
    for event, listener in listeners.items():
        page.on(event, listener)  # type: ignore[call-overload]
    page.route("**/*", allow)
    page.goto(address, wait_until="load")
    found = page.evaluate(LOOK)
    page.unroute("**/*")
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    return [*faults, *found["faults"]], found["links"], set(found["anchors"])


def dead(base: str, site: Path, links: dict[str, list[str]], anchors: dict[str, set[str]]) -> Iterator[str]:
    """Links of the site to pages or anchors that are not there."""
    for address, targets in links.items():
        for target in sorted(set(targets)):
            url, anchor = urldefrag(urljoin(address, target))
            if not url.startswith(base):
                continue
            name = urlsplit(url).path.lstrip("/") or "index.html"
            if not (site / name).is_file():
                yield f"{address.removeprefix(base)}: dead link to {name}"
            elif anchor and base + name in anchors and anchor not in anchors[base + name]:
                yield f"{address.removeprefix(base)}: dead anchor {name}#{anchor}"


def faults_of(site: Path, pictures: Path | None = None) -> list[str]:
    """Everything that is wrong with a built site; pictures of its pages go to a folder."""
    every, links, anchors = [], {}, {}
    names = sorted(p.relative_to(site).as_posix() for p in site.rglob("*.html"))
    with served(site) as base, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = browser.new_page()
        for name in names:
            for width in ("wide",) if name.startswith(TEXTS) else WIDTHS:
                faults, found, ids = looked_at(page, base, base + name, width)
                every += [f"{name} ({width}): {fault}" for fault in faults]
                links[base + name], anchors[base + name] = found, ids
                if pictures is not None and not name.startswith(TEXTS):
                    for scheme in ("light", "dark"):
                        page.emulate_media(color_scheme=scheme)
                        page.screenshot(
                            path=pictures / f"{name[:-5].replace('/', '.')}.{width}.{scheme}.png", full_page=True
                        )
                    page.emulate_media(color_scheme="light")
        every += dead(base, site, links, anchors)
        browser.close()
    print(f"{len(names)} pages, {len(every)} faults")
    return every


if __name__ == "__main__":
    site, *more = map(Path, sys.argv[1:])
    for folder in more:
        folder.mkdir(parents=True, exist_ok=True)
    found = faults_of(site, more[0] if more else None)
    print(*found, sep="\n")
    sys.exit(bool(found))
