"""The site opened from the disk in a real browser: players move, formulas are set, nobody else is asked."""

from __future__ import annotations

import http.server
import threading
from functools import partial
from pathlib import Path

import pytest

from dgm_course.teach.site import live, site  # noqa: E402

from ..teach.site import books as site_books
from .in_lab import ROOT, browser_page, missing

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "runs")]
REAL = max((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"), key=lambda path: path.stat().st_size)


def players_of_the_small_one(path: Path, folder: Path) -> live.Places:
    return live.players(path, folder) if path.stem == "98_small" else {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A site of the small notebook with its player and of the largest real one, in a folder with blanks and accents."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site") / "été, a site"
    list(site([site_books.write(source), source / "99_other.ipynb", REAL], target, players_of_the_small_one))
    return target


@pytest.fixture(scope="module")
def page():
    with browser_page() as page:
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        yield page


@pytest.fixture
def small(page, folder):
    page.goto((folder / "98_small.html").as_uri())
    page.locator("figure").first.scroll_into_view_if_needed()
    page.wait_for_selector("figure.awake", timeout=600_000)
    return page


def test_a_player_moves_and_obeys_the_keyboard(small):
    root = small.locator(".dgm-player")
    canvas = root.locator("canvas").first
    before = canvas.evaluate("node => node.toDataURL()")
    root.get_by_label("Play", exact=True).click()
    small.wait_for_function(
        "before => document.querySelector('.dgm-player canvas').toDataURL() !== before", arg=before
    )
    root.locator(".dgm-stage").focus()
    small.keyboard.press("Space")
    small.keyboard.press("End")
    assert root.evaluate("root => root.dgm.state().u") == pytest.approx(1)


def test_a_dropped_particle_follows_the_field(small):
    canvas = small.locator(".dgm-player canvas").first
    box = canvas.bounding_box()
    canvas.click(position={"x": 0.75 * box["width"], "y": 0.375 * box["height"]})
    path = small.locator(".dgm-player").evaluate("root => root.dgm.state().drops[0][0].path")
    assert path[0] == pytest.approx([2, 1], abs=0.03)
    assert path[-1] == pytest.approx([2 * 0.9**10, 0.9**10], abs=0.03)  # ten steps of Euler along -x


def test_formulas_are_set_wherever_they_stand(small):
    small.wait_for_function(
        "() => document.querySelectorAll('.katex').length === document.querySelectorAll('.math').length"
    )
    assert small.locator(".katex").count() == 4 and small.locator(".katex-error").count() == 0
    assert small.locator("details .katex annotation").text_content() == "x<y"
    assert small.evaluate("document.fonts.check('16px KaTeX_Main')")


def test_all_formulas_of_a_real_notebook_are_understood(page, folder):
    page.goto((folder / f"{REAL.stem}.html").as_uri())
    page.wait_for_function(
        "() => document.querySelectorAll('.katex').length === document.querySelectorAll('.math').length",
        timeout=600_000,
    )
    assert page.locator(".katex").count() > 50 and page.locator(".katex-error").count() == 0


def test_every_link_of_a_page_answers(page, folder):
    """As the browser resolves them, escapes and all."""
    page.goto((folder / "index.html").as_uri())
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
    assert len(links) > 5
    for link in dict.fromkeys(link.split("#")[0] for link in links):
        page.goto(link)
        assert page.locator("h1").count() == 1, link


@pytest.mark.parametrize("system, first", [("dark", "rgb(20, 23, 26)"), ("light", "rgb(255, 255, 255)")])
def test_theme_follows_the_system_until_chosen(page, folder, system, first):
    ground = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme=system)
    page.goto((folder / "98_small.html").as_uri())
    page.evaluate("localStorage.clear()")
    page.reload()
    assert ground() == first
    page.locator("#theme").click()
    assert ground() != first
    page.goto((folder / "slides.html").as_uri())
    assert ground() != first
    page.evaluate("localStorage.clear()")


def test_the_slide_index_finds(page, folder):
    page.goto((folder / "slides.html").as_uri())
    rows = page.locator("tbody tr:visible")
    everything = rows.count()
    page.locator("#find").fill("vq-vae")
    assert 0 < rows.count() < everything / 4
    page.locator("#find").fill("")
    assert rows.count() == everything


def test_without_scripts_there_are_pictures_and_themes(folder):
    from playwright.sync_api import sync_playwright

    from .in_lab import FLAGS, chromium

    # in a thread, for the page of this module holds the loop of this one
    seen = {}

    def look() -> None:
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=chromium(), args=FLAGS)
            page = browser.new_context(java_script_enabled=False, color_scheme="dark").new_page()
            page.goto((folder / "98_small.html").as_uri())
            seen["pictures"] = page.locator("figure img:visible").count()
            seen["formula"] = page.locator(".math").first.text_content()
            browser.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == {"pictures": 2, "formula": "a<b"}


def test_largest_page_works_served_and_from_disk(page, folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/{REAL.stem}.html", wait_until="domcontentloaded")
        page.wait_for_selector(".katex")
        page.goto("about:blank")
        server.shutdown()


def test_no_other_host_was_requested(page):
    """Of all tests above."""
    assert page.asked and not [
        url for url in page.asked if not url.startswith(("file:", "data:", "about:", "http://127.0.0.1"))
    ]
    assert page.faults == []
