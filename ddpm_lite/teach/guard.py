"""Two watchers beside an answer in its process: one refuses and notes what no answer needs, one finds what was changed.

They close the easy ways to a forged verdict. They are no wall: Python in one process cannot be one.
"""

from __future__ import annotations

import _thread
import builtins
import contextlib
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import CellType, FrameType, FunctionType, ModuleType
from typing import Any

__all__ = ["FILE", "snapshot", "watch"]
FILE = "<answer"  # how the file name of foreign code begins

# Audit events (https://docs.python.org/3/library/audit_events.html) that are refused when foreign code causes them
# itself, through inspect or traceback: the ways to other frames, closures and code ...
DIRECT = frozenset({
    "sys._getframe", "sys._current_frames", "sys._current_exceptions", "sys.addaudithook", "sys.settrace",
    "sys.setprofile", "exec", "compile", "object.__getattr__", "object.__setattr__", "object.__delattr__",
    "code.__new__", "function.__new__", "marshal.loads", "pickle.find_class", "gc.get_objects", "gc.get_referrers",
    "gc.get_referents",
})  # fmt: skip
# ... and those that are refused also through any other module of the standard library, as os.fork by multiprocessing.
THROUGH = frozenset({
    "os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "os.killpg", "os.remove",
    "os.rename", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate", "os.startfile",
    "subprocess.Popen", "signal.pthread_kill", "resource.setrlimit", "resource.prlimit", "sqlite3.connect", "open",
})  # fmt: skip
FAMILIES = ("socket.", "ctypes.", "shutil.", "pty.", "urllib.", "ftplib.", "http.", "smtplib.", "webbrowser.")


def watch(work: Path) -> Callable[[], list[str]]:
    """Refuse with PermissionError what the events above stand for, for the rest of this process, when foreign code is
    the cause; return a function that lists what was refused. Files may be opened in ``work`` and read where Python is.
    """
    seen: list[str] = []
    busy: set[int] = set()  # asking for a frame is an event too
    # All that the hook uses is held here: patching builtins or sys does not reach it.
    frame_at, thread, Refused, real = sys._getframe, _thread.get_ident, PermissionError, os.path.realpath
    writes, text, kind = os.O_ACCMODE, str, type
    library = sysconfig.get_path("stdlib")
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    mine = os.path.join(os.path.realpath(work), "")
    readable = tuple(
        os.path.join(os.path.realpath(path), "") for path in {sys.prefix, sys.base_prefix, library, package}
    )
    # Whose code is not foreign: what is installed, and this package. A name that foreign code gives itself is none.
    installed = {library, package, *map(sysconfig.get_path, ("platstdlib", "purelib", "platlib"))}
    ours = (*(os.path.join(path, "") for path in installed), "<frozen ", "<check ", "<setup>")
    # The standard library stands between foreign code and what it asks for, but for these, which look at frames and
    # compile for ends of their own; two files of torch hand out the frames of whoever calls them.
    plain = ("collections/__init__.py", "dataclasses.py", "enum.py", "typing.py", "warnings.py")
    own_ends = ("<frozen ", *(os.path.join(library, name) for name in plain))
    hands_out = ("torch/_jit_internal.py", "torch/jit/frontend.py")

    def opens_what_it_may(args: Any) -> bool:
        name, _, flags = args
        if kind(name) is not text:  # a descriptor; or a path that may be another each time one asks
            return False
        name = real(name)
        return name.startswith(mine) or (not flags & writes and name.startswith(readable))

    def hook(event: str, args: Any) -> None:
        through = event in THROUGH or event.startswith(FAMILIES)
        if not through and event not in DIRECT:
            return
        me = thread()
        if me in busy:
            return
        busy.add(me)
        try:
            frame: FrameType | None = frame_at(1)
            while frame is not None:
                name = frame.f_code.co_filename
                if not name.startswith(ours):
                    break
                standard = name.startswith("<frozen") or (name.startswith(library) and "-packages" not in name)
                between = standard and (through or not name.startswith(own_ends))
                if not between and not name.endswith(hands_out):
                    return
                frame = frame.f_back
            if event == "open" and opens_what_it_may(args):
                return
            detail = f" {args[1]}" if event.startswith("object.") else ""
            what = f"{event}{detail} in line {frame.f_lineno if frame else '?'}"
            if what not in seen and seen.__len__() < 20:
                seen.append(what)
        finally:
            busy.discard(me)
        raise Refused(f"{event}{detail} is not allowed in an answer")

    def note(what: str) -> None:
        seen.append(what)
        raise Refused(f"{what} is not allowed in an answer")

    sys.addaudithook(hook)
    _freeze(note)
    return seen.copy


def _freeze(note: Callable[[str], None]) -> None:
    """Let no attribute of ddpm_lite's modules and builtins be set, but for a submodule that is imported."""

    class Frozen(ModuleType):
        """A module as it is."""

        def __setattr__(self, name: str, value: Any, module_type: type = ModuleType) -> None:
            if name == "__class__" or not isinstance(value, module_type):
                note(f"{self.__name__}.{name} = ...")
            ModuleType.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            note(f"del {self.__name__}.{name}")

    for name, module in _modules().items():
        if type(module) is ModuleType and not name.startswith("torch"):  # torch sets some of its own names late
            module.__class__ = Frozen


def _modules() -> dict[str, ModuleType]:
    """What checks rest on."""
    names = ["builtins", "math", "torch", "torch.nn.functional", "torch.linalg", "torch.special", "torch.autograd"]
    names += [name for name in sys.modules if name.split(".")[0] == "ddpm_lite" and ".teach" not in name]
    return {name: sys.modules[name] for name in names if name in sys.modules}


def snapshot() -> Callable[[], list[str]]:
    """Remember what checks rest on: the functions, classes and constants of ddpm_lite, torch, math and builtins.

    Returns a function that names what was replaced since. What is new in a module is fine, unless it hides a builtin.
    """
    import torch

    loaded, modules = sys.modules, _modules()
    classes: list[type] = [torch.Tensor, torch.Tensor.__mro__[1], torch.nn.Module, torch.Generator]
    for name, module in modules.items():
        if name.startswith("ddpm_lite"):
            classes += [
                c for c in vars(module).values() if isinstance(c, type) and c.__module__.startswith("ddpm_lite")
            ]
    fixed = {
        name: (vars(module), {k: v for k, v in vars(module).items() if _counts(k, v)})
        for name, module in modules.items()
    }
    cells = [cell for name, module in modules.items() if name.startswith("ddpm_lite") for cell in _cells(module)]
    members = [(c, c.__dict__, {**c.__dict__}) for c in set(classes)]
    known, is_callable, hidden = {**vars(builtins)}, callable, "__torch_function__ mode"
    stacks = [torch._C._len_torch_function_stack, torch._C._len_torch_dispatch_stack]

    def changed() -> list[str]:
        found = []
        for name, module in modules.items():
            if loaded.get(name) is not module:
                found.append(f"sys.modules[{name!r}]")
        for name, (now, before) in fixed.items():
            for key, value in before.items():
                if now.get(key) is not value:
                    found.append(f"{name}.{key}")
            if name != "builtins":
                for key in now.keys() - before.keys():
                    if key in known and is_callable(now[key]):
                        found.append(f"{name}.{key}")
        for owner, now_in, then in members:
            for key, value in {**now_in}.items():
                if then.get(key, found) is not value and (key in then or is_callable(value)):
                    found.append(f"{owner.__name__}.{key}")
            found += [f"{owner.__name__}.{key}" for key in then.keys() - now_in.keys()]
        for name, cell, value in cells:
            if cell.cell_contents is not value:
                found.append(f"{name}.__closure__")
        for length in stacks:
            if length():
                found.append(hidden)
        return found

    return changed


def _cells(module: ModuleType) -> list[tuple[str, CellType, Any]]:
    """What the functions of a module hold in their closures, and those that they hold: name, cell, content."""
    found: list[tuple[str, CellType, Any]] = []
    seen: set[int] = set()
    todo = [value for value in vars(module).values() if isinstance(value, FunctionType)]
    while todo:
        function = todo.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty one
                value = cell.cell_contents
                found.append((f"{function.__module__}.{function.__qualname__}", cell, value))
                todo += [value] if isinstance(value, FunctionType) else []
    return found


def _counts(name: str, value: Any) -> bool:
    """Whether a module's value is one that nothing honest replaces; torch replaces ``manual_seed`` itself."""
    with contextlib.suppress(Exception):
        return name.strip("_") not in ("", "teach", "manual_seed") and (
            callable(value) or isinstance(value, ModuleType) or name.isupper()
        )
    return False
