"""The trajectory player's figures: python benchmarks/player.py

10,000 particles at 100 times in headless Chromium on a real JupyterLab: bytes sent once, frames a second
while playing, milliseconds from a move of the time slider to the finished picture, messages to the kernel
meanwhile; beside them `play`, which does need the kernel, from key press to the new picture on the page.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.in_lab import browser_page, comm_messages, failures, lab, missing, run_notebook, write_notebook  # noqa: E402

COUNT, TIMES = 10_000, 100
CELLS = [
    f"""
import torch
from matplotlib.figure import Figure
from dgm_course.teach import TrajectoryPlayer, play
def swirl(x, t): return torch.stack([-x[:, 1], x[:, 0]], dim=1) - 0.3 * x
x = torch.randn({COUNT}, 2); run = [x]
for k in range({TIMES - 1}): run.append(run[-1] + swirl(run[-1], None) / {TIMES - 1})
player = TrajectoryPlayer(torch.stack(run), swirl, data=run[-1][:500], density=torch.rand(17, 64, 64))
print("bytes", len(player.buffer))
""",
    "player",
    """
def curve(k):
    figure = Figure(figsize=(6, 4)); figure.subplots().plot(x[:2000, 0], x[:2000, 1] * k, '.'); return figure
play(curve, k=(0, 200))
""",
]

PLAY = """async root => {
  root.dgm.clock.seek(0); root.dgm.clock.play();
  await new Promise(r => setTimeout(r, 500));
  const from = root.dgm.state().draws, start = performance.now();
  await new Promise(r => setTimeout(r, 3000));
  const rate = (root.dgm.state().draws - from) / (performance.now() - start) * 1000;
  root.dgm.clock.pause(); return rate; }"""

SCRUB = """root => { const bar = root.querySelector('.dgm-time'), took = [];
  for (let i = 0; i < 200; i++) { bar.value = i / 200; const start = performance.now();
    bar.dispatchEvent(new Event('input')); took.push(performance.now() - start); }
  return took; }"""

REDRAW = """async handle => { const image = document.querySelector('.widget-image'), took = [];
  handle.focus();
  for (let i = 0; i < 15; i++) {
    const start = performance.now();
    const loaded = new Promise(r => image.addEventListener('load', r, { once: true }));
    handle.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
    await loaded; took.push(performance.now() - start); await new Promise(r => setTimeout(r, 50)); }
  return took; }"""


def middle(values: list[float]) -> str:
    """Median and 95th percentile."""
    late = sorted(values)[int(0.95 * len(values))]
    return f"{statistics.median(values):.1f} ms median, {late:.1f} ms at 95 %"


def report(page) -> None:
    """Measure and print."""
    size = int(page.locator(".jp-OutputArea-output pre").first.inner_text().split()[-1])
    print(f"{COUNT:,} particles, {TIMES} times: {size / 1e6:.2f} MB sent once")
    root, before = page.locator(".dgm-player").first, len(comm_messages(page))
    for what in ("density, field, data, trails and particles", "particles alone"):
        print(
            f"{what}: {root.evaluate(PLAY):.1f} frames a second; "
            f"slider to the finished picture {middle(root.evaluate(SCRUB))}"
        )
        root.get_by_label("trails").select_option("none")
        for layer in ("exact density", "data", "field"):
            root.get_by_label(layer, exact=True).set_checked(False)
    print(f"messages to the kernel meanwhile: {len(comm_messages(page)) - before}")
    took = page.locator(".noUi-handle").first.evaluate(REDRAW)
    print(f"play(): {middle(took)} from key press to the new picture, drawn by the kernel")


def main() -> int:
    """Print the figures, or why there are none."""
    if missing():
        print(f"cannot measure: {missing()}")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        write_notebook(Path(folder) / "bench.ipynb", CELLS)
        with lab(Path(folder)) as address, browser_page() as page:
            run_notebook(page, address, "bench.ipynb")
            if failures(page) or page.faults:
                print("not clean:", failures(page), page.faults)
                return 1
            report(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
