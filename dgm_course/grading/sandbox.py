"""Operating-system limits for untrusted code: each is tried on its own, and those in force are reported by key of `WORDS`.

Linux namespaces remove the network, other processes and all files except Python's and an empty folder.
Only the standard library is used.
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
KEPT_FLAGS = (
    NOSUID | NODEV | NOEXEC | 1024 | 2048
)  # with noatime and nodiratime; an unprivileged user cannot clear them
NO_NEW_PRIVS, DROP_BOUNDING, DEATH_SIGNAL, DETACH = 38, 24, 1, 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}  # system call numbers; the C library has no function for it
DEVICES = ("null", "zero", "random", "urandom")
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime")
HOME = "/tmp/answer"
WORDS = {
    "process": "a process of its own for every exercise",
    "limits": "limits on time, memory, files and processes",
    "user": "an unprivileged user",
    "network": "no network",
    "processes": "no sight of other processes",
    "files": "no files but Python and an empty folder",
}
LIBC = ctypes.CDLL(None, use_errno=True)


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
    """The folder that becomes the root, the folders visible in it, and those covered by an empty one."""

    root: str
    visible: tuple[str, ...]
    hidden: tuple[str, ...] = ()


def unshare() -> set[str]:
    """Enter new namespaces, by the first combination that the system allows; return what they isolate."""
    if not sys.platform.startswith("linux"):
        return set()
    isolated = NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS
    user, group = os.geteuid(), os.getegid()
    for flags in (isolated, isolated | NEWUSER, NEWNET | NEWUSER, NEWNET):
        if LIBC.unshare(flags) == 0:
            if flags & NEWUSER:
                _map_user(user, group)
            names = {"network": NEWNET, "processes": NEWPID, "files": NEWNS, "own user": NEWUSER}
            return {name for name, flag in names.items() if flags & flag}
    return set()


def restrict(paths: SandboxPaths, limits: Limits, isolated: set[str], uid: int) -> set[str]:
    """Apply files, limits and user to this process; return the keys of `WORDS` that are in force."""
    enforced = {"process", *(isolated & {"network"})}
    memory = limits.memory + _address_space()
    if "files" in isolated and _succeeds(lambda: _change_root(paths, limits, uid)):
        enforced |= {"files", "processes"}  # the new root has its own /proc, or none
    else:
        os.chdir(paths.root)
    if _succeeds(lambda: _set_limits(limits, memory)):
        enforced.add("limits")
    own_user = "own user" in isolated
    if _succeeds(lambda: _drop_privileges(uid, own_user)) and (not own_user or "files" in enforced):
        enforced.add("user")
    os.umask(0o077)
    os.environ.clear()
    home = os.getcwd()
    os.environ.update(HOME=home, TMPDIR=home, PATH="/usr/bin:/bin", LANG="C.UTF-8", OMP_NUM_THREADS="1")
    return enforced


def usual_folders(more: Iterable[str]) -> tuple[str, ...]:
    """The folders that Python needs: system programs and libraries, its own folders, and `more`."""
    own = [os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, sys.exec_prefix, *more)]
    return tuple(dict.fromkeys([*SYSTEM, *sorted(own)]))


def _succeeds(step: Callable[[], None]) -> bool:
    try:
        step()
    except (OSError, ValueError):
        return False
    return True


def _map_user(user: int, group: int) -> None:
    """Map this user to 1000 in the new user namespace."""
    for name, line in (("setgroups", "deny"), ("uid_map", f"1000 {user} 1"), ("gid_map", f"1000 {group} 1")):
        with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def _drop_privileges(uid: int, own_namespace: bool) -> None:
    """Become user `uid` where this is root; drop every capability and the means to gain one."""
    linux = sys.platform.startswith("linux")
    if os.geteuid() != 0 and not own_namespace:
        raise OSError("the user stays the grader's: expected root or a user namespace")
    if linux:
        for capability in range(64):
            LIBC.prctl(DROP_BOUNDING, capability, 0, 0, 0)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    if linux:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of capset, this process; then three empty sets
        _check(LIBC.capset(header, (ctypes.c_uint32 * 6)()))
        LIBC.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
        LIBC.prctl(DEATH_SIGNAL, 9, 0, 0, 0)


def _set_limits(limits: Limits, memory: int) -> None:
    """Set hard limits for this process and its children."""
    cpu = max(1, round(limits.cpu))
    wanted = {
        "RLIMIT_CPU": (cpu, cpu + 1),
        "RLIMIT_FSIZE": limits.disk,
        "RLIMIT_NOFILE": limits.files,
        "RLIMIT_CORE": 0,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_AS": memory,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, value in wanted.items():
        if hasattr(resource, name):
            resource.setrlimit(getattr(resource, name), value if isinstance(value, tuple) else (value, value))


def _address_space() -> int:
    """Bytes that this process has mapped, torch included; 0 where the system does not say."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
    return 0


def _change_root(paths: SandboxPaths, limits: Limits, uid: int) -> None:
    """Change to a root in memory: visible folders read-only, own /proc, four devices, an empty home."""
    _check(LIBC.unshare(NEWNS))  # a second time, so that the supervisor keeps its own view and can clean up
    _mount("none", "/", "", REC | PRIVATE)
    _mount("tmpfs", paths.root, "tmpfs", NOSUID | NODEV, f"size={limits.disk},nr_inodes=4096,mode=755")
    for path in paths.visible:
        _bind(path, paths.root)
    for path in paths.hidden:
        if os.path.isdir(paths.root + path):
            _mount("tmpfs", paths.root + path, "tmpfs", RDONLY | NOSUID | NODEV, "size=4k,mode=755")
    for name in DEVICES:
        _bind(f"/dev/{name}", paths.root, writable=True)
    os.makedirs(paths.root + "/proc")
    with contextlib.suppress(OSError):
        _mount("proc", paths.root + "/proc", "proc", NOSUID | NODEV | NOEXEC)
    os.makedirs(paths.root + HOME)
    if os.geteuid() == 0:
        os.chown(paths.root + HOME, uid, uid)
    os.chdir(paths.root)
    machine = os.uname().machine
    if machine not in PIVOT_ROOT:
        raise OSError(f"no number of pivot_root for {machine}: expected {' or '.join(PIVOT_ROOT)}")
    _check(LIBC.syscall(PIVOT_ROOT[machine], b".", b"."))
    _check(LIBC.umount2(b".", DETACH))
    os.chdir(HOME)


def _bind(path: str, root: str, writable: bool = False) -> None:
    """Show a folder, file or link at the same place under the new root."""
    target = root + path
    if os.path.lexists(target) or not os.path.lexists(path):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    os.makedirs(target) if os.path.isdir(path) else open(target, "w").close()
    _mount(path, target, "", BIND | REC)
    if not writable:
        kept = os.statvfs(target).f_flag & KEPT_FLAGS
        _mount("none", target, "", BIND | REMOUNT | RDONLY | NOSUID | kept)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    names = (source.encode(), target.encode(), kind.encode() or None)
    _check(LIBC.mount(*names, ctypes.c_ulong(flags), data.encode() or None))


def _check(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
