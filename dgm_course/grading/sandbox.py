"""A pen for code that nobody trusts: what the operating system can be made to refuse, tried one thing after another.

On Linux a process can be given a view of its own: no network but an unconnected one, no processes but its own, no files
but Python and an empty folder, and an unprivileged user.  What could be had is said in the words of `WORDS`, by the child,
before any line of a student's runs; what could not is left out, and the report says so.  Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
KEPT_FLAGS = NOSUID | NODEV | NOEXEC | 1024 | 2048  # and noatime, nodiratime: a lesser user may not take them off
NO_NEW_PRIVS, DROP_BOUNDING, DEATH_SIGNAL, DETACH = 38, 24, 1, 2
DEVICES = ("null", "zero", "random", "urandom")
HOME = "/tmp/answer"
WORDS = {
    "process": "a process of its own for every exercise",
    "limits": "limits on time, memory, files and processes",
    "user": "an unprivileged user",
    "network": "no network",
    "processes": "no sight of other processes",
    "files": "no files but Python and an empty folder",
}


@dataclass(frozen=True)
class Limits:
    """Seconds of processor and of clock; bytes of memory (beyond what Python and torch take), of files, of output."""

    cpu: float = 20.0
    wall: float = 40.0
    memory: int = 2 << 30
    disk: int = 32 << 20
    output: int = 1 << 20
    result: int = 32 << 20
    processes: int = 32
    files: int = 64


@dataclass(frozen=True)
class SandboxPaths:
    """Where pens stand: a folder for their roots, the folders that may be seen in there, those that must not."""

    root: str
    visible: tuple[str, ...]
    hidden: tuple[str, ...] = ()


def unshare() -> set[str]:
    """Cut this process and its children off, as far as the system allows: the first of several ways that works."""
    if not sys.platform.startswith("linux"):
        return set()
    isolated = NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS
    user, group = os.geteuid(), os.getegid()
    for flags in (isolated, isolated | NEWUSER, NEWNET | NEWUSER, NEWNET):
        if _libc().unshare(flags) == 0:
            if flags & NEWUSER:
                _map_user(user, group)
            names = {"network": NEWNET, "processes": NEWPID, "files": NEWNS, "own user": NEWUSER}
            return {name for name, flag in names.items() if flags & flag}
    return set()


def close(yard: SandboxPaths, limits: Limits, isolated: set[str], uid: int) -> set[str]:
    """In the child, before anything of the student's: view, limits, user. Returns which words hold."""
    held = {"process", *(isolated & {"network"})}
    memory = limits.memory + _address_space()
    if "files" in isolated and _tried(lambda: _view(yard, limits, uid)):
        held |= {"files", "processes"}  # the view holds a /proc of its own, or none
    else:
        os.chdir(yard.root)
    if _tried(lambda: _limit(limits, memory)):
        held.add("limits")
    if _tried(lambda: _lower(uid, "own user" in isolated)) and ("own user" not in isolated or "files" in held):
        held.add("user")
    os.umask(0o077)
    os.environ.clear()
    os.environ.update(
        HOME=os.getcwd(), TMPDIR=os.getcwd(), PATH="/usr/bin:/bin", LANG="C.UTF-8", OMP_NUM_THREADS="1"
    )
    return held


def _tried(step: Callable[[], None]) -> bool:
    try:
        step()
    except (OSError, ValueError):
        return False
    return True


# --- the user


def _map_user(user: int, group: int) -> None:
    """In a namespace of users of our own we are 1000, whoever we were outside."""
    for name, line in (("setgroups", "deny"), ("uid_map", f"1000 {user} 1"), ("gid_map", f"1000 {group} 1")):
        with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def _lower(uid: int, own_namespace: bool) -> None:
    """Another user where we are root; in both cases no capability, and no way to gain one."""
    linux = sys.platform.startswith("linux")
    if os.geteuid() != 0 and not own_namespace:
        raise OSError("the same user as the grader")
    if linux:
        for capability in range(64):
            _libc().prctl(DROP_BOUNDING, capability, 0, 0, 0)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    if linux:
        _drop_capabilities()
        _libc().prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
        _libc().prctl(DEATH_SIGNAL, 9, 0, 0, 0)


def _drop_capabilities() -> None:
    """capset to nothing: version 3 of its header, this process, three empty sets of two words."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _ask(_libc().capset(header, (ctypes.c_uint32 * 6)()))


# --- limits


def _limit(limits: Limits, memory: int) -> None:
    """Hard limits, for the student and all that is started from there."""
    cpu = max(1, round(limits.cpu))
    asked = {
        "RLIMIT_CPU": (cpu, cpu + 1),
        "RLIMIT_FSIZE": limits.disk,
        "RLIMIT_NOFILE": limits.files,
        "RLIMIT_CORE": 0,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_AS": memory,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, value in asked.items():
        if hasattr(resource, name):
            resource.setrlimit(getattr(resource, name), value if isinstance(value, tuple) else (value, value))


def _address_space() -> int:
    """Bytes that this process has mapped, torch included; 0 where the system does not say."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
    return 0


# --- the view


def _view(yard: SandboxPaths, limits: Limits, uid: int) -> None:
    """A root of our own in memory: the visible folders read-only, /proc of our own processes, /dev/null, an empty home."""
    _ask(_libc().unshare(NEWNS))  # once more, so that the guard keeps its own view and can clear up
    _mount("none", "/", "", REC | PRIVATE)
    _mount("tmpfs", yard.root, "tmpfs", NOSUID | NODEV, f"size={limits.disk},nr_inodes=4096,mode=755")
    for path in yard.visible:
        _show(path, yard.root)
    for path in yard.hidden:
        if os.path.isdir(yard.root + path):
            _mount("tmpfs", yard.root + path, "tmpfs", RDONLY | NOSUID | NODEV, "size=4k,mode=755")
    for name in DEVICES:
        _show(f"/dev/{name}", yard.root, writable=True)
    os.makedirs(yard.root + "/proc")
    with contextlib.suppress(OSError):
        _mount("proc", yard.root + "/proc", "proc", NOSUID | NODEV | NOEXEC)
    os.makedirs(yard.root + HOME)
    if os.geteuid() == 0:
        os.chown(yard.root + HOME, uid, uid)
    os.chdir(yard.root)
    _ask(_libc().syscall(_pivot_number(), b".", b"."))
    _ask(_libc().umount2(b".", DETACH))
    os.chdir(HOME)


def _pivot_number() -> int:
    """pivot_root has no function of its own in the C library."""
    return {"x86_64": 155, "aarch64": 41}.get(os.uname().machine) or _fail("pivot_root")


def _show(path: str, root: str, writable: bool = False) -> None:
    """The same folder, file or link at the same place under the new root."""
    there = root + path
    if os.path.lexists(there) or not os.path.lexists(path):
        return
    os.makedirs(os.path.dirname(there), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), there)
        return
    os.makedirs(there) if os.path.isdir(path) else open(there, "w").close()
    _mount(path, there, "", BIND | REC)
    if not writable:
        kept = os.statvfs(there).f_flag & KEPT_FLAGS
        _mount("none", there, "", BIND | REMOUNT | RDONLY | NOSUID | kept)


def usual_folders(more: Iterable[str]) -> tuple[str, ...]:
    """What Python needs to run: the system's programs and libraries, and its own folders."""
    system = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime")
    own = [os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, sys.exec_prefix, *more)]
    return tuple(dict.fromkeys([*system, *sorted(own)]))


# --- the C library


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    words = (source.encode(), target.encode(), kind.encode() or None)
    _ask(_libc().mount(*words, ctypes.c_ulong(flags), data.encode() or None))


def _ask(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _fail(what: str) -> int:
    raise OSError(f"{what} is not known on {os.uname().machine}")
