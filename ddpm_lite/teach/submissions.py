"""Find what students handed in, in a folder or zip as a learning platform gives it out: Moodle's folders and names,
Canvas's names, plain files, zips in zips. Nothing is unpacked to disk."""

from __future__ import annotations

import datetime
import hashlib
import io
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["Submission", "collect", "printable"]
LARGEST = 20_000_000  # bytes of a notebook, with its outputs
LARGEST_ZIP = 2_000_000_000  # bytes unpacked of all that one zip holds
MEMBERS, DEPTH = 10_000, 3
MOODLE = re.compile(r"^(?P<name>.+)_(?P<id>\d+)_assignsubmission_[a-z]+(?:_.*)?$")
CANVAS = re.compile(r"^(?P<name>[^_]+)(?P<late>_LATE)?_(?P<id>\d+)_\d+_.+$")


@dataclass
class Submission:
    """One file of one student: ``data`` is None where it could not be read, and ``problem`` says why."""

    path: PurePosixPath  # in the download; zips are folders
    data: bytes | None = None
    stamps: tuple[
        tuple[int, datetime.datetime | None], ...
    ] = ()  # dates of the file and the zips around it: parts, date
    problem: str = ""
    student: str = ""
    id: str = ""
    late: bool = False  # the platform's own mark
    when: datetime.datetime | None = None  # of what the platform gave out: a date in a student's own zip says nothing

    @property
    def key(self) -> str:
        """A name for folders and the gradebook, unlike any other student's."""
        plain = unicodedata.normalize("NFKD", self.student).encode("ascii", "ignore").decode()
        slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:60]
        if self.id and slug:
            return f"{slug}-{self.id}"  # the platform's number is one student's
        name = f"{self.student}-{self.id}" if self.id else self.student
        if slug == name and not re.search(r"-\d+$", slug):
            return slug
        return f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".strip("-")

    @property
    def is_notebook(self) -> bool:
        """By its name."""
        return self.path.suffix.lower() == ".ipynb"


def collect(folder: Path) -> list[Submission]:
    """Read all notebooks under a folder, or in a zip.

    Who a file is from stands in its path: Moodle's ``Name_12345_assignsubmission_file_/...`` (or without folders),
    Canvas's ``lastfirst_12345_67890_file.ipynb``; else the folder or zip it is in, else its own name. What is no
    notebook counts only where a student has no other file: then with a problem.

    Raises: ValueError if there is no such folder or zip.
    """
    if not folder.exists():
        raise ValueError(f"there is no {folder}")
    if folder.is_file() and not zipfile.is_zipfile(folder):
        raise ValueError(f"{folder} is neither a folder nor a zip")
    everything = list(_zipped(folder, PurePosixPath(), [LARGEST_ZIP]) if folder.is_file() else _files(folder))
    _name_owners(everything)
    students: dict[tuple[str, str], list[Submission]] = {}
    for one in everything:
        students.setdefault((one.student, one.id), []).append(one)
    chosen = []
    for files in students.values():
        chosen += [one for one in files if one.is_notebook] or sorted(files, key=lambda one: one.path.name == "?")[:1]
    return sorted(chosen, key=lambda one: (one.student, one.id, str(one.path)))


def _name_owners(submissions: Sequence[Submission]) -> None:
    """Set student, id, late, from the paths."""
    cut = 0
    while True:  # a folder or zip around the whole class says nothing
        heads = {one.path.parts[cut] for one in submissions if len(one.path.parts) > cut}
        inner = {one.path.parts[cut + 1] for one in submissions if len(one.path.parts) > cut + 1}
        if len(heads) != 1 or len(inner) < 2 or any(len(one.path.parts) <= cut + 1 for one in submissions):
            break
        if any(form.match(head) for form in (MOODLE, CANVAS) for head in heads):  # all of one student
            break
        cut += 1
    for one in submissions:
        # The outermost part that names one: what is in a student's own zip does not say whose it is.
        names = ((i, MOODLE.match(part), CANVAS.match(part)) for i, part in enumerate(one.path.parts) if i >= cut)
        at, moodle, canvas = next((found for found in names if found[1] or found[2]), (cut, None, None))
        if moodle:
            one.student, one.id = moodle["name"].replace("_", " "), moodle["id"]
        elif canvas:
            one.student, one.id, one.late = canvas["name"], canvas["id"], bool(canvas["late"])
        else:
            name = re.sub(r"\.(zip|ipynb)$", "", one.path.parts[cut], flags=re.IGNORECASE)
            one.student = re.sub(r" ?\(\d+\)$", "", name)  # "anna (1).ipynb", as browsers name a second download
        one.student, one.problem = printable(one.student), printable(one.problem)
        one.when = next((when for parts, when in one.stamps if parts > at), None)


def _files(folder: Path) -> Iterator[Submission]:
    for path in sorted(folder.rglob("*")):
        inside = PurePosixPath(path.relative_to(folder).as_posix())
        if _skipped(inside):
            yield from _hidden(inside, PurePosixPath())
            continue
        if path.is_symlink():
            yield Submission(inside, problem=f"{path.name} is a link")
            continue
        if not path.is_file():
            continue
        stamps = ((len(inside.parts), datetime.datetime.fromtimestamp(path.stat().st_mtime)),)
        if path.suffix.lower() == ".zip":
            yield from _zipped(path, inside, [LARGEST_ZIP], stamps)
            continue
        one = Submission(inside, stamps=stamps)
        if one.is_notebook and path.stat().st_size <= LARGEST:
            one.data = path.read_bytes()
        else:
            one.problem = f"{path.name} is too large" if one.is_notebook else f"{path.name} is no notebook (.ipynb)"
        yield one


def _zipped(
    source: Path | io.BytesIO,
    root: PurePosixPath,
    left: list[int],
    stamps: tuple[tuple[int, datetime.datetime | None], ...] = (),
    depth: int = 1,
) -> Iterator[Submission]:
    """The files in a zip, and in zips in it, read one at a time. ``left``: how many bytes may still be unpacked."""
    try:
        if depth > DEPTH:
            raise ValueError(f"more than {DEPTH} zips deep")
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS:
                raise ValueError(f"more than {MEMBERS} files")
            found = False
            for member in members:
                inside = PurePosixPath(member.filename.replace("\\", "/"))
                if _skipped(inside):
                    yield from _hidden(inside, root)
                elif not member.is_dir():
                    found = True
                    yield from _member(archive, member, Submission(root, stamps=stamps), left, depth)
            if not found and root.parts:
                yield Submission(root / "?", stamps=stamps, problem=f"{root.name} holds no file")
    except Exception as error:  # zlib.error, BadZipFile, RuntimeError for a password, ...: a zip may hold anything
        yield Submission(root / "?", stamps=stamps, problem=f"{root.name or 'the zip'} cannot be read: {error}")


def _member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, around: Submission, left: list[int], depth: int
) -> Iterator[Submission]:
    inside = PurePosixPath(member.filename.replace("\\", "/"))
    parts = [part for part in inside.parts if part not in ("..", "/") and not part.endswith(":")]
    one = Submission(around.path.joinpath(*parts))
    if len(parts) != len(inside.parts):
        one.problem = f"{member.filename!r} is a path that leads out of its folder"
    try:
        when = datetime.datetime(*member.date_time)
    except ValueError:
        when = None
    one.stamps = (*around.stamps, (len(one.path.parts), when))
    nested = inside.suffix.lower() == ".zip"
    if not one.problem and stat.S_ISLNK(member.external_attr >> 16):
        one.problem = f"{inside.name} is a link"
    if not one.problem and not nested and not one.is_notebook:
        one.problem = f"{inside.name} is no notebook (.ipynb)"
    if not one.problem:
        most = min(left[0], LARGEST * (10 if nested else 1))
        try:
            with archive.open(member) as stream:
                one.data = stream.read(most + 1)  # the size in the header may lie
            left[0] -= len(one.data)
            if len(one.data) > most:
                one.data, one.problem = None, f"{inside.name} is too large: more than {most / 1e6:.0f} MB unpacked"
        except Exception as error:
            one.problem = f"{inside.name} cannot be unpacked: {error}"
    if nested and one.data is not None:
        yield from _zipped(io.BytesIO(one.data), one.path, left, one.stamps, depth + 1)
    else:
        yield one


def printable(text: str, keep: str = "") -> str:
    """A stranger's words without what moves a terminal's cursor or is no character; ``keep``: but for these."""
    return "".join(c if c.isprintable() or c in keep else " " if c.isspace() else "?" for c in text)


def _hidden(inside: PurePosixPath, root: PurePosixPath) -> Iterator[Submission]:
    """What stands for hidden files in a folder that Moodle made: its student may have handed in nothing else."""
    for i, part in enumerate(inside.parts):
        if MOODLE.match(part) and not _skipped(PurePosixPath(*inside.parts[: i + 1])):
            yield Submission(root.joinpath(*inside.parts[: i + 1], "?"), problem="only hidden files")
            return


def _skipped(inside: PurePosixPath) -> bool:
    """Hidden files, what macOS adds, checkpoints of Jupyter."""
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in inside.parts)
