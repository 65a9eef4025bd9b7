"""The configuration of JupyterHub in TEACHING.md: it is Python, its settings exist, its start copies the notebooks."""

from __future__ import annotations

import re
from importlib import util
from pathlib import Path

import pytest
from traitlets.config import Config

from dgm_course.cli import main
from dgm_course.core import notebook_dir

TEXT = (Path(__file__).resolve().parents[2] / "TEACHING.md").read_text(encoding="utf-8")


@pytest.fixture
def config() -> Config:
    made = Config()
    exec(re.search(r"## On a JupyterHub.*?```python\n(.*?)```", TEXT, re.S)[1], {"get_config": lambda: made})
    return made


def test_first_start_copies_notebooks(config, monkeypatch, tmp_path):
    python, flag, start = config.Spawner.cmd
    assert flag == "-c" and Path(python).is_file()
    assert start.index("notebook_dir.own()") < start.index("jupyterhub.singleuser")
    monkeypatch.chdir(tmp_path)
    source = notebook_dir.notebooks()
    monkeypatch.setattr(notebook_dir, "_near", lambda start: None)
    monkeypatch.setattr(notebook_dir, "installed", lambda: source)
    exec(start.split("from jupyterhub")[0].rstrip("; "), {})
    assert (tmp_path / "notebooks" / "08_flow_matching.ipynb").is_file()


def test_it_listens_locally_with_our_settings(config):
    assert config.JupyterHub.bind_url.startswith("http://127.0.0.1:")
    assert config.Spawner.environment["JUPYTER_CONFIG_PATH"] == str(main.SETTINGS) and main.SETTINGS.is_dir()


@pytest.mark.skipif(util.find_spec("jupyterhub") is None, reason="jupyterhub is not installed")
def test_jupyterhub_knows_every_setting(config):
    from jupyterhub.app import JupyterHub
    from jupyterhub.spawner import Spawner

    for owner, section in ((JupyterHub, config.JupyterHub), (Spawner, config.Spawner)):
        assert set(section) <= set(owner.class_trait_names(config=True))
