"""The command `dgm`: sentences for errors, JupyterLab on this machine only and behind a token, the doctor's report."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import Namespace
from importlib import metadata

import pytest
import torch

from dgm_course.cli import doctor, main
from dgm_course.core import notebook_dir
from dgm_course.nets import MLP
from dgm_course.paths.model import flow_matching


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A folder with a space in its name and three notebooks inside; the current folder."""
    here = tmp_path / "my course"
    (here / "notebooks").mkdir(parents=True)
    blank = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    for name in ("00_introduction", "07_diffusion", "09_absorbing_diffusion"):
        (here / "notebooks" / f"{name}.ipynb").write_text(json.dumps(blank))
    monkeypatch.chdir(here)
    return here


FOUND = {
    "00_introduction": "0 00 intro",
    "07_diffusion": "7 07_diffusion.ipynb",
    "09_absorbing_diffusion": "ABSORBING 09",
}


@pytest.mark.parametrize("word, name", [(word, name) for name, words in FOUND.items() for word in words.split()])
def test_a_word_finds_its_notebook(course, word, name):
    assert notebook_dir.find(course / "notebooks", word).stem == name


@pytest.mark.parametrize(
    "word, said",
    [
        ("3", "No notebook is called '3'; there are: 00_introduction, 07"),
        ("vae", "No notebook is called 'vae'"),
        ("diffusion", "'diffusion' fits several notebooks; they are: 07_diffusion, 09_absorbing_diffusion."),
    ],
)
def test_a_wrong_word_is_answered_with_the_names(course, word, said, capsys):
    assert main.main(["lab", word]) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and err.count("\n") == 1


def test_notebooks_are_found_from_a_folder_inside(course, monkeypatch):
    monkeypatch.chdir(course / "notebooks")
    assert notebook_dir.notebooks() == (course / "notebooks").resolve()


def test_a_port_in_use_is_a_sentence(course, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main.main(["lab", "--port", str(port)]) == 2
    assert f"Port {port} cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "-5", "70000"])
def test_an_invalid_port_is_a_sentence(course, port, capsys):
    assert main.main(["lab", f"--port={port}"]) == 2
    assert "from 1 to 65535" in capsys.readouterr().err


def test_without_a_port_a_free_one_is_taken(monkeypatch):
    monkeypatch.setattr(main, "_port_error", lambda port: "taken" if port < 8890 else "")
    assert main._port(None) == 8890


def test_lab_is_local_and_its_token_new_each_time(course):
    options = Namespace(name="7", port=None, no_browser=True)
    (_, first), (_, second) = main._lab_arguments(options), main._lab_arguments(options)
    token = re.compile(r"--IdentityProvider.token=([0-9a-f]{32,})")
    tokens = {token.search(" ".join(args)).group(1) for args in (first, second)}
    assert len(tokens) == 2
    assert "--ServerApp.ip=127.0.0.1" in first and "--no-browser" in first
    assert "--LabApp.default_url=/lab/tree/notebooks/07_diffusion.ipynb" in first


def test_lab_shortens_thread_waits(course, monkeypatch):
    """The server's environment is what every kernel inherits."""
    labapp, seen = pytest.importorskip("jupyterlab.labapp"), {}
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "JUPYTER_CONFIG_PATH"):
        monkeypatch.setenv(name, "")  # so that what the command sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setattr(labapp.LabApp, "launch_instance", lambda arguments: seen.update(os.environ))
    assert main.main(["lab", "7", "--no-browser"]) == 0
    assert seen["GOMP_SPINCOUNT"] == "1000"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=600) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, ""


@pytest.mark.slow
def test_jupyterlab_opens_only_with_the_token(course, tmp_path, monkeypatch):
    """The real server: the printed address opens, without its token nothing does, and no news are fetched."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "lab.log"
    own = {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "run")}
    command = [sys.executable, "-m", "dgm_course", "lab", "9", "--no-browser", f"--port={port}"]
    with log.open("w") as out:
        lab = subprocess.Popen(command, cwd=course, env={**os.environ, **own}, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 600
        address = re.compile(rf"http://127\.0\.0\.1:{port}/lab/tree/notebooks/09_\w+\.ipynb\?token=(\w+)")
        while "is running at" not in log.read_text() or not listens(port):  # it says so a moment before it does
            assert lab.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        printed = address.search(log.read_text())
        base, token = f"http://127.0.0.1:{port}", printed.group(1)
        assert get(printed.group())[0] == 200
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", own["JUPYTER_RUNTIME_DIR"])
        assert list(main._open_already([f"--ServerApp.root_dir={course.resolve()}"])) == [
            f"{base}/lab?token={token}"
        ]
        assert list(main._open_already([f"--ServerApp.root_dir={tmp_path}"])) == []
        assert get(f"{base}/api/contents")[0] == 403
        files = json.loads(get(f"{base}/api/contents/notebooks?token={token}")[1])["content"]
        assert {f["name"] for f in files} >= {"00_introduction.ipynb", "07_diffusion.ipynb"}
        plugin = "@jupyterlab/apputils-extension:notification"
        settings = json.loads(get(f"{base}/lab/api/settings/{plugin}?token={token}")[1])
        assert settings["schema"]["properties"]["fetchNews"]["default"] == "false"
        with socket.socket() as other, pytest.raises(OSError):
            other.connect(("127.0.0.2", port))  # this machine too, but not the one address it listens on
    finally:
        lab.terminate()
        lab.wait(20)


def test_doctor_does_not_time_a_busy_machine(monkeypatch, capsys):
    monkeypatch.setattr(os, "getloadavg", lambda: (14.2, 0.0, 0.0))
    monkeypatch.setattr(doctor, "machine_speed", lambda: pytest.fail("timed a busy machine"))
    main.main(["doctor"])
    assert "busy (load 14 on" in capsys.readouterr().out


def test_unknown_weights_are_not_trained(capsys):
    assert main.main(["train", "gardening"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "There are no weights called 'gardening'" in said.err


def test_doctor_reports_the_machine(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_missing_packages", lambda: iter(()))
    assert main.main(["doctor"]) == 0
    said = capsys.readouterr().out
    parts = "Python 3.|torch 2|cores|5,000 MNIST images|full MNIST|Chromium|Nothing that is needed is missing."
    assert all(part in said for part in parts.split("|"))
    assert all(line.rstrip().endswith(".") for line in said.splitlines())


def test_doctor_names_what_is_missing_or_too_old(monkeypatch, capsys):
    wanted = ["numpy>=99", "no-such-package>=1", "pytest>=1", 'nbgrader>=99; extra == "grading"']
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    assert main.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "no-such-package is not installed" in said and re.search(r"numpy \S+ is too old, 99 or", said)
    assert "pytest" not in said and "nbgrader" not in said


def test_doctor_finds_the_folder_in_dgm_data(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("DGM_DATA", str(tmp_path))
    main.main(["doctor"])
    said = capsys.readouterr().out
    assert f"DGM_DATA names {tmp_path}, but the four files of MNIST are not all there." in said


@pytest.mark.parametrize(
    "error, said",
    [
        (KeyError("There are no weights called 'x'."), "dgm: There are no weights called 'x'."),
        (KeyError("x"), "dgm: KeyError: x (DGM_DEBUG=1 shows where)"),
        (OSError("The disk is full."), "dgm: The disk is full."),
        (TypeError("f() takes no arguments"), "dgm: TypeError: f() takes no arguments (DGM_DEBUG=1 shows where)"),
    ],
)
def test_errors_are_one_sentence(monkeypatch, capsys, error, said):
    def fail(options):
        raise error

    monkeypatch.setattr(main, "doctor", fail)
    assert main.main(["doctor"]) == 2
    assert capsys.readouterr().err == said + "\n"
    monkeypatch.setenv("DGM_DEBUG", "1")
    with pytest.raises(type(error)):
        main.main(["doctor"])


def test_ctrl_c_exits_with_130(monkeypatch, capsys):
    def stop(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "doctor", stop)
    assert main.main(["doctor"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_the_command_starts_without_torch(course):
    """A wrong word is answered at once, not after torch has been loaded."""
    code = "import sys; from dgm_course.cli import main; main.main(['lab', 'x']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_anchors_is_a_table_of_all_weights(capsys):
    from dgm_course import pretrained

    assert main.main(["anchors"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in pretrained.names()) and "Traceback" not in printed


@pytest.mark.slow
def test_speed_is_the_larger_ratio(monkeypatch):
    seconds = iter((0.058, 0.00284))
    monkeypatch.setattr(doctor, "_seconds", lambda step, threads, tries: next(seconds))
    assert doctor.machine_speed() == pytest.approx(4)


@pytest.mark.slow
def test_a_timed_step_trains():
    """The weights move, and the number of threads is restored."""
    torch.set_num_threads(2)
    model = flow_matching(MLP(2), (2,))
    before = [p.clone() for p in model.parameters()]
    doctor._training_step(model, torch.rand(8, 2))()
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters()))
    assert doctor.machine_speed(tries=1) > 0 and torch.get_num_threads() == 2
