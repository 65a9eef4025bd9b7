"""What was handed in: a notebook, a folder of notebooks, or a zip file. It is read into memory and never unpacked to disk.

A name that leads out, a link, a device or a bomb refuses the whole submission with the reason.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MOST_BYTES, MOST_TOGETHER, MOST_ENTRIES = 20_000_000, 100_000_000, 2_000
KINDS = (".ipynb", ".zip")


class Refused(ValueError):
    """A submission that cannot be read; the message gives the reason."""


@dataclass(frozen=True)
class Submission:
    """One student's: the name for the table, and the path."""

    student: str
    path: Path


def submissions(where: Path) -> list[Submission]:
    """One for each file or folder in `where`, by name; a single notebook or zip file is a class of one."""
    if where.is_file():
        return [Submission(_printable(where.stem), where)]
    if not where.is_dir():
        raise LookupError(
            f"There is nothing at {where}: expected a folder of submissions, a notebook or a zip file."
        )
    found = [entry for entry in sorted(where.iterdir()) if not entry.name.startswith((".", "__"))]
    kept = [entry for entry in found if entry.is_symlink() or entry.is_dir() or entry.suffix.lower() in KINDS]
    if not kept:
        raise LookupError(f"{where} holds no submission: no notebook, no zip file and no folder.")
    return [Submission(_printable(entry.name if entry.is_dir() else entry.stem), entry) for entry in kept]


def contents(path: Path) -> list[tuple[str, bytes]]:
    """(name, bytes) of every notebook in a submission; Refused with the reason where it is unsafe or empty."""
    found = []
    total = 0
    for name, content in _notebooks(path):
        total += len(content)
        if total > MOST_TOGETHER:
            raise Refused(f"It holds more than {MOST_TOGETHER // 10**6} MB of notebooks.")
        found.append((_printable(name), content))
    if not found:
        raise Refused("There is no notebook in it.")
    return found


def _notebooks(path: Path) -> Iterator[tuple[str, bytes]]:
    _check_no_link(path)
    if path.is_dir():
        yield from _in_folder(path)
    elif path.suffix.lower() == ".zip":
        yield from _in_zip(path)
    else:
        yield path.name, _content(path)


def _in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    entries = 0
    for here, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not _ignored(name))
        entries += len(folders) + len(files)
        if entries > MOST_ENTRIES:
            raise Refused(f"It holds more than {MOST_ENTRIES} files.")
        for name in (*folders, *sorted(files)):
            _check_no_link(Path(here) / name)
        for name in sorted(files):
            if not _ignored(name) and Path(name).suffix.lower() in KINDS:
                yield from _notebooks(Path(here) / name)


def _in_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        _check_file(path)
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            for entry in entries:
                parts = PurePosixPath(entry.filename).parts
                if parts and parts[-1].lower().endswith(".ipynb") and not any(map(_ignored, parts)):
                    yield entry.filename, _member(archive, entry)
    except Refused:
        raise
    except Exception:  # on a damaged archive, zipfile and its decompressors raise errors of many types
        raise Refused(f"{_printable(path.name)} is no zip file that can be read.") from None


def _content(path: Path) -> bytes:
    try:
        _check_file(path)
        return path.read_bytes()
    except OSError as wrong:
        raise Refused(f"{_printable(path.name)} cannot be read: {wrong.strerror}.") from None


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry, bounded whatever size it declares."""
    if entry.file_size <= MOST_BYTES:
        with archive.open(entry) as member:
            content = member.read(MOST_BYTES + 1)
        if len(content) <= MOST_BYTES:
            return content
    raise Refused(f"{_printable(entry.filename)[:80]} in the archive has more than {MOST_BYTES // 10**6} MB.")


def _check_no_link(path: Path) -> None:
    if path.is_symlink():
        raise Refused(f"{_printable(path.name)} is a link, not a file.")


def _check_file(path: Path) -> None:
    """A regular file of bounded size: reading a pipe would never end."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise Refused(f"{_printable(path.name)} is no regular file.")
    if status.st_size > MOST_BYTES:
        size = f"{status.st_size / 1e6:.0f} MB"
        raise Refused(f"{_printable(path.name)} has {size}, more than {MOST_BYTES // 10**6}.")


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    """Check all entries before one is read; a single bad one refuses the archive."""
    if len(entries) > MOST_ENTRIES:
        raise Refused(f"The archive holds {len(entries)} entries, more than {MOST_ENTRIES}.")
    if len({entry.filename for entry in entries}) < len(entries):
        raise Refused("The archive holds one name twice.")
    for entry in entries:
        name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
        if name.startswith("/") or ".." in PurePosixPath(name).parts or any(sign in name for sign in "\\:\0"):
            raise Refused(f"The archive holds a name that leads out of it: {_printable(name)[:80]}.")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Refused(f"The archive holds a link or a device: {_printable(name)[:80]}.")
        if entry.flag_bits & 1:
            raise Refused("The archive is encrypted.")
    if sum(entry.file_size for entry in entries) > MOST_TOGETHER:
        raise Refused(f"The archive unpacks to more than {MOST_TOGETHER // 10**6} MB.")


def _ignored(name: str) -> bool:
    """Hidden files and folders, .ipynb_checkpoints among them, and what macOS adds to archives."""
    return name == "__MACOSX" or name.startswith(".")


def _printable(name: str) -> str:
    """A name without control characters; bytes that are not UTF-8 are written out."""
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else "?" for sign in name)
