"""What a process may do while it runs foreign code: limits of the system, a filter of system calls, a file system that
is only read. ``enter`` is for a process that was just forked and will end soon: nothing here can be undone."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["enter", "limit"]
MB = 1 << 20
WORK_MB = 64  # how much a submission can write
OPEN_FILES = 256
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")  # all that stay

# System calls that are refused, by machine: new processes and programs, signals, sockets, other processes' memory and
# priority, messages and keys that outlive a process, memory that no limit counts, namespaces and mounts, files by
# their handles, and io_uring, which gets around the filter; then changes of files. Named are those whose arguments
# decide. Numbers: asm/unistd_64.h, asm-generic/unistd.h.
_NUMBERS = {
    "x86_64": (
        0xC000003E,
        {"clone": 56, "clone3": 435, "openat": 257, "open": 2, "mmap": 9, "fcntl": 72, "prlimit64": 302},
        [29, 41, 53, 57, 58, 59, 62, 64, 68, 101, 109, 112, 129, 141, 142, 144, 155, 161, 165, 166, 200, 203, 234, 240,
         241, 248, 249, 250, 251, 256, 272, 297, 298, 304, 308, 310, 311, 314, 319, 321, 322, 323, 424, 425, 426, 427,
         428, 429, 430, 431, 432, 433, 438, 440, 442, 447, 448],
        [76, 77, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 132, 133, 188, 189, 190, 197, 198, 199, 235, 258, 259,
         260, 261, 263, 264, 265, 266, 268, 280, 285, 316, 437, 452, 463, 466],
    ),
    "aarch64": (
        0xC00000B7,
        {"clone": 220, "clone3": 435, "openat": 56, "mmap": 222, "fcntl": 25, "prlimit64": 261},
        [30, 39, 40, 41, 51, 97, 117, 118, 119, 122, 129, 130, 131, 138, 140, 154, 157, 180, 181, 186, 190, 194, 198,
         199, 217, 218, 219, 221, 238, 240, 241, 265, 268, 270, 271, 274, 279, 280, 281, 282, 424, 425, 426, 427, 428,
         429, 430, 431, 432, 433, 438, 440, 442, 447, 448],
        [5, 6, 7, 14, 15, 16, 33, 34, 35, 36, 37, 38, 45, 46, 47, 52, 53, 54, 55, 88, 276, 437, 452, 463, 466],
    ),
}  # fmt: skip
_CLONE_THREAD, _NEW_USER, _NEW_NS, _NEW_NET, _NEW_IPC = 0x10000, 0x10000000, 0x20000, 0x40000000, 0x8000000
_RDONLY, _NODEV, _BIND = 1, 4, 0x1000  # of a mount
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000


def limit(name: str, soft: int, hard: int | None = None) -> bool:
    """Lower a limit of this process, named as in ``resource``; return whether the system took it."""
    kind = getattr(resource, f"RLIMIT_{name}", None)
    if kind is None:
        return False
    try:
        most = resource.getrlimit(kind)[1]
        wanted = soft if hard is None else hard
        wanted = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(kind, (min(soft, wanted), wanted))
    except (ValueError, OSError):
        return False
    return True


def enter(work: Path, hide: Sequence[Path], *, seconds: int, memory_mb: int) -> list[str]:
    """Give up all that foreign code could do harm with, and return what the system really took away.

    work: the folder that may be written; hide: folders that shall look empty. The names returned are "memory", "files"
    (all but ``work`` is only read), "hidden" (``hide`` is empty), "processes", "network".
    """
    done = []
    os.chdir(work)
    limit("CORE", 0)
    limit("CPU", seconds, seconds + 2)
    limit("FSIZE", WORK_MB * MB)
    limit("NOFILE", OPEN_FILES)
    # What is mapped already, as the libraries' code, does not count, and neither do addresses that are only reserved,
    # of which torch takes gigabytes: DATA, not AS.
    if limit("DATA", _data_in_use() + memory_mb * MB):
        done.append("memory")
    if not sys.platform.startswith("linux"):
        limit("NPROC", 0)  # root is exempt
        return done
    own_files = _seal_files(work, hide)
    done += ["hidden"] if own_files else []
    if _filter_calls(writing=own_files):
        done += ["files", "processes", "network"]  # without a name space of its own, it can write nowhere at all
    else:
        limit("NPROC", 0)
    return done


def _data_in_use() -> int:
    """Bytes that count for RLIMIT_DATA, on Linux."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        return 2048 * MB
    return next(int(line.split()[1]) for line in lines if line.startswith("VmData")) * 1024


def _libc(name: str, *arguments: object) -> None:
    """Call a function of the C library; raise OSError with its errno."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _seal_files(work: Path, hide: Sequence[Path]) -> bool:
    """In a mount name space of this process alone: all is read-only, ``work`` is a small disk in memory, ``hide`` is
    empty, there is no device but ``DEVICES``, and no network card. False where the system does not allow it."""
    user, group = os.getuid(), os.getgid()
    devices = [os.fsencode(path) for path in DEVICES if os.path.exists(path)]
    hidden = [os.fsencode(path) for path in hide if path.is_file()]
    try:
        _libc("unshare", _NEW_USER | _NEW_NS | _NEW_NET | _NEW_IPC)
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
        _libc("mount", b"none", b"/", None, 0x4000 | 0x40000, None)  # MS_REC | MS_PRIVATE
        for folder in hide:
            if folder.is_file():
                _libc("mount", b"/dev/null", os.fsencode(folder), None, _BIND, None)
            elif folder.is_dir():
                _libc("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", 6, b"size=4k,mode=755")
        _libc("mount", b"tmpfs", os.fsencode(work), b"tmpfs", 6, f"size={WORK_MB}m,mode=755".encode())
        for device in devices:
            _libc("mount", device, device, None, _BIND, None)
        _set_mount(b"/", on=_RDONLY | _NODEV, recursive=True)
        for device in (*devices, *hidden):
            _set_mount(device, off=_NODEV)
        _set_mount(os.fsencode(work), off=_RDONLY)
        os.chdir(work)
    except OSError:
        return False
    return True


def _set_mount(path: bytes, *, on: int = 0, off: int = 0, recursive: bool = False) -> None:
    """mount_setattr(2), Linux 5.12 and later; the C library has no name for it yet everywhere."""
    attributes = struct.pack("QQQQ", on, off, 0, 0)  # set, clear, propagation, user name space
    flags, here, size = (ctypes.c_long(number) for number in (0x8000 if recursive else 0, -100, len(attributes)))
    _libc("syscall", ctypes.c_long(442), here, path, flags, attributes, size)


def _filter_calls(*, writing: bool) -> bool:
    """Have the kernel refuse what ``_NUMBERS`` lists, with EPERM; unless writing, changes of any file too."""
    if platform.machine() not in _NUMBERS:
        return False
    architecture, named, always, changes = _NUMBERS[platform.machine()]
    no, number_again = (0x06, 0, 0, _REFUSE | errno.EPERM), (0x20, 0, 0, 0)

    def argument(i: int) -> tuple[int, int, int, int]:
        return (0x20, 0, 0, 16 + 8 * i)

    program = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), no, number_again]
    if platform.machine() == "x86_64":  # numbers of the x32 interface
        program += [(0x35, 0, 1, 0x40000000), no]
    for number in always if writing else always + changes:
        program += [(0x15, 0, 1, number), no]
    program += [(0x15, 0, 1, named["clone3"]), (0x06, 0, 0, _REFUSE | errno.ENOSYS)]  # the C library then asks clone
    # A new thread is allowed, a new process is not: bit CLONE_THREAD of the first argument.
    program += [(0x15, 0, 3, named["clone"]), argument(0), (0x45, 1, 0, _CLONE_THREAD), no, number_again]
    # Another process's limits; F_SETOWN and F_SETOWN_EX, who gets the signals of a file; MAP_GROWSDOWN, and MAP_SHARED
    # together with MAP_ANONYMOUS, whose memory RLIMIT_DATA does not count.
    program += [(0x15, 0, 3, named["prlimit64"]), argument(0), (0x15, 1, 0, 0), no, number_again]
    program += [(0x15, 0, 4, named["fcntl"]), argument(1), (0x15, 1, 0, 8), (0x15, 0, 1, 15), no, number_again]
    program += [(0x15, 0, 5, named["mmap"]), argument(3), (0x45, 2, 0, 0x100), (0x54, 0, 0, 0x21), (0x15, 0, 1, 0x21)]
    program += [no, number_again]
    if not writing:
        for call, flags in (("openat", 2), ("open", 1)):
            if call in named:  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND
                program += [(0x15, 0, 3, named[call]), argument(flags), (0x45, 0, 1, 0o3103), no, number_again]
    program += [(0x06, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    try:
        _libc("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        _libc("prctl", 22, 2, ctypes.c_void_p(ctypes.addressof(fprog)), 0, 0)  # PR_SET_SECCOMP, a filter
    except OSError:
        return False
    return True
