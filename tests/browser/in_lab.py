"""A real JupyterLab and a real browser for tests: notebooks made on the fly, run, and looked at."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


def missing() -> str:
    """Why no browser test can run here; an empty string where it can."""
    if not chromium():
        return "no chromium on this machine (apt-get install chromium)"
    try:
        import jupyterlab  # noqa: F401
        import playwright.sync_api  # noqa: F401
    except ImportError as why:
        return f"{why.name} is not installed"
    return ""


def chromium() -> str | None:
    """The browser's path."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write_notebook(path: Path, cells: list[str]) -> Path:
    """A notebook of code cells."""
    notebook = new_notebook(cells=[new_code_cell(c) for c in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


def settings(folder: Path, theme: str) -> Path:
    """JupyterLab's settings: no news, no windowed cells, a theme."""
    asked = {**SETTINGS, "apputils-extension/themes": {"theme": f"JupyterLab {theme}"}}
    for name, values in asked.items():
        place = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(values))
    return folder


@contextlib.contextmanager
def lab(folder: Path, theme: str = "Light", app: str = "jupyterlab") -> Iterator[str]:
    """JupyterLab (or the app "notebook") serving `folder` on loopback, as an address; ended with everything it started."""
    port = free_port()
    chosen = str(settings(folder / ".settings", theme))
    env = dict(
        os.environ,
        JUPYTERLAB_SETTINGS_DIR=chosen,
        OMP_NUM_THREADS="1",
        PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    )
    command = [
        sys.executable,
        "-m",
        app,
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--expose-app-in-browser",
        f"--ServerApp.root_dir={folder}",
    ]
    with open(folder / "lab.log", "wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/api", 600)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def wait_for(url: str, seconds: float) -> None:
    """Until the address answers."""
    end = time.time() + seconds
    while time.time() < end:
        try:
            urlopen(url, timeout=2).read(1)
            return
        except OSError:
            time.sleep(0.3)
    raise TimeoutError(f"JupyterLab did not answer at {url} within {seconds:.0f} s")


@contextlib.contextmanager
def browser_page(width: int = 1100, height: int = 1000, scale: float = 1) -> Iterator:
    """A page of headless Chromium; `page.faults` collects console errors, `page.sent` what is sent."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
        page.set_default_timeout(300_000)  # a guard against hanging, not a measurement
        page.faults, page.sent = [], []
        page.on("console", lambda m: page.faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: page.faults.append(str(e)))
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: page.sent.append(frame)))
        yield page
        browser.close()


def run_notebook(page, address: str, name: str, seconds: float = 600) -> None:
    """Open the notebook in JupyterLab, run all its cells and wait until none is busy."""
    page.goto(f"{address}/lab/workspaces/test/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=600_000)
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area').catch(() => 0)")
    page.wait_for_timeout(2500)
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_timeout(1000)
    busy = "[...document.querySelectorAll('.jp-InputPrompt')].some(e => e.textContent.includes('*'))"
    page.wait_for_function(f"() => !{busy}", timeout=seconds * 1000)
    page.wait_for_timeout(1500)


def comm_messages(page) -> list[str]:
    """What went to the kernel over comms, of all that was sent so far."""
    text = [f if isinstance(f, str) else bytes(f).decode("latin-1") for f in page.sent]
    return [t for t in text if '"comm_msg"' in t or '"comm_open"' in t]


def failures(page) -> list[str]:
    """Last lines of the tracebacks that the notebook shows."""
    shown = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error'] pre")
    return [t.strip().splitlines()[-1] for t in shown.all_inner_texts()]
