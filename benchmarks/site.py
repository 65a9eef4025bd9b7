"""Seconds until the largest page of the site is usable over loopback: parsed, with its first formula set (Chromium).

python benchmarks/site.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import http.server
import statistics
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from in_lab import browser_page, missing  # noqa: E402

from dgm_course.teach.site import site  # noqa: E402

LARGEST = max((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"), key=lambda path: path.stat().st_size)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def load(page, address: str) -> float:
    start = time.perf_counter()
    page.goto(address, wait_until="domcontentloaded")
    page.wait_for_selector(".katex")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if missing():
        raise SystemExit(f"cannot measure: {missing()}")
    with tempfile.TemporaryDirectory() as folder, browser_page() as page:
        list(site([LARGEST], Path(folder), lambda path, folder: {}))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}/{LARGEST.stem}.html"
            seconds = [load(page, address) for _ in range(options.rounds)]
            page.goto("about:blank")
            server.shutdown()
    print(f"{LARGEST.stem}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


if __name__ == "__main__":
    main()
