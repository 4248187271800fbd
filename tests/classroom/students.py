"""A class of students for the tests of grading: each with a way to answer, an attack or a mishap, and what they earn.

``hand_in`` writes what they submit to a folder, as several learning platforms would, and returns what is expected.
"""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]
MAXIMUM = 7

TABLE = """\
def alpha_bar(beta: Tensor) -> Tensor:
    one = torch.ones(1, dtype=beta.dtype)
    return torch.cat([one, (1 - beta).cumprod(0)])
"""
HALF = """\
def half_signal(alpha_bar: Tensor) -> int:
    return int((alpha_bar.sqrt() < 1 / 2).nonzero()[0])
"""
ZERO = """\
def zero_terminal(alpha_bar: Tensor) -> Tensor:
    a = alpha_bar.sqrt()
    return ((a - a[-1]) / (1 - a[-1])) ** 2
"""
RIGHT = {1: TABLE, 2: HALF, 3: ZERO, 4: "rate = 0.5"}
WRONG_TABLE = TABLE.replace("(1 - beta).cumprod", "beta.cumprod")
LOOPS = {
    1: """\
def alpha_bar(b):
    table = [1.0]
    for value in b.tolist():
        table.append(table[-1] * (1 - value))
    return torch.tensor(table)
""",
    2: """\
import math
def half_signal(table):
    t = 0
    while math.sqrt(table[t]) >= 0.5:
        t += 1
    return t
""",
    3: """\
import numpy as np
def zero_terminal(table):
    a = np.sqrt(table.numpy())
    return torch.as_tensor(((a - a[-1]) / (a[0] - a[-1])) ** 2)
""",
    4: "rate = math.sqrt(0.25)",
}


@dataclass
class Student:
    """``points`` of exercises 1 to 4; ``problem``: a regular expression for what is reported, None for nothing."""

    points: tuple[float, ...]
    change: Callable[[Notebook], Any]
    problem: str | None = None
    late: bool = False


def put(notebook: Notebook, answers: dict[int, str]) -> Notebook:
    """Write answers in their cells."""
    for number, code in answers.items():
        cell(notebook, f"answer-{number}")["source"] = code
    return notebook


def cell(notebook: Notebook, grade_id: str) -> dict[str, Any]:
    return next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


def answering(answers: dict[int, str]) -> Callable[[Notebook], Any]:
    return lambda notebook: put(notebook, answers)


def with_first(code: str) -> Callable[[Notebook], Any]:
    """All right but the first answer, which is this."""
    return answering({**RIGHT, 1: code})


def without_checks(notebook: Notebook) -> None:
    put(notebook, RIGHT)["cells"] = [
        c for c in notebook["cells"] if "check_" not in c["source"] or "import" in c["source"]
    ]


def doubled(grade_id: str, stub_last: bool = False) -> Callable[[Notebook], Any]:
    def change(notebook: Notebook) -> None:
        stub = copy.deepcopy(cell(notebook, grade_id))
        cells = put(notebook, RIGHT)["cells"]
        at = cells.index(cell(notebook, grade_id))
        cells.insert(at + int(stub_last), stub if stub_last else copy.deepcopy(cells[at]))

    return change


def as_in_colab(notebook: Notebook) -> None:
    """Colab's own metadata, cell ids and outputs; nbgrader's is gone, and the kernel's name is another."""
    for i, c in enumerate(put(notebook, RIGHT)["cells"]):
        c["metadata"] = {"id": f"aB{i}cD", "colab": {"base_uri": "https://localhost:8080/", "height": 35}}
        if c["cell_type"] == "code":
            c["metadata"]["outputId"], c["execution_count"] = "0f-1", 5
            c["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["Correct. All of it.\n"]}]
            c["source"] = c["source"].splitlines(keepends=True)
    notebook["metadata"] = {"colab": {"provenance": []}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook["nbformat_minor"] = 0


def with_helper(notebook: Notebook) -> None:
    """The first answer needs a function and an import of cells before it; one more cell stops with an error."""
    put(notebook, {**RIGHT, 1: "def alpha_bar(beta):\n    return grown(np.array(beta))"})
    code = ["import numpy as np", "def grown(b):\n    return torch.tensor(np.append(1.0, np.cumprod(1 - b)))", "1 / 0"]
    for text in code:
        notebook["cells"].insert(2, {"cell_type": "code", "metadata": {}, "source": text, "outputs": []})


def rich(notebook: Notebook) -> None:
    """Points in the metadata are a hundred, and the check is another."""
    put(notebook, {**RIGHT, 1: WRONG_TABLE})
    for number in range(1, 5):
        cell(notebook, f"check-{number}")["metadata"]["nbgrader"]["points"] = 100
    cell(notebook, "check-1")["source"] = (
        "def check_alpha_bar(answer):\n    print('Correct.')\ncheck_alpha_bar(alpha_bar)"
    )


def to_gradebook(course: str) -> str:
    return f"""\
import sqlite3
try:
    db = sqlite3.connect({course + "/gradebook.db"!r})
    db.execute("update grade set auto_score = 100")
    db.commit()
except BaseException:
    pass
{WRONG_TABLE}"""


RETURNS_WANT = "\n    while 'want' not in f.f_locals: f = f.f_back\n    return f.f_locals['want']"
LIAR = """\
class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, f, types, args=(), kwargs=None):
        return torch.ones(())
def alpha_bar(beta):
    return torch.zeros(len(beta) + 1).as_subclass(Liar)
"""
LOST, FULL = (0, 2, 3, 1), (1, 2, 3, 1)  # all but the first; all

CLASS: dict[str, Student] = {
    "ada right": Student(FULL, answering(RIGHT)),
    "ben loops": Student(FULL, answering(LOOPS)),
    "cem half": Student((1, 2, 0, 0), answering({1: TABLE, 2: HALF})),
    "dora stub": Student((0, 0, 0, 0), answering({})),
    "emil cumsum": Student(LOST, with_first(TABLE.replace("cumprod", "cumsum"))),
    "fay one late": Student((1, 0, 3, 1), answering({**RIGHT, 2: HALF.replace("[0])", "[0]) + 1")})),
    "gus root": Student((1, 2, 0, 1), answering({**RIGHT, 3: ZERO.replace(" ** 2", "")})),
    "hal number": Student((1, 2, 3, 0), answering({**RIGHT, 4: "rate = 0.25"})),
    "ida int": Student(
        (1, 2, 3, 0), answering({**RIGHT, 4: "rate = torch.tensor(0.5)"})
    ),  # the hidden test wants a float
    "jon syntax": Student((1, 0, 3, 1), answering({**RIGHT, 2: "def half_signal(x)\n    return 1"})),
    "kim no checks": Student(FULL, without_checks),
    "lea answer twice": Student(FULL, doubled("answer-2", stub_last=True)),
    "max check twice": Student(FULL, doubled("check-1")),
    "ned colab": Student(FULL, as_in_colab),
    "ola helper": Student(FULL, with_helper),
    "pam lost cell": Student(LOST, lambda n: put(n, RIGHT)["cells"].remove(cell(n, "answer-1")), "exercise 1: no cell"),
    "quinn loop": Student(
        LOST,
        with_first("def alpha_bar(beta):\n  while True:\n    try:\n      while True: pass\n    except: pass"),
        "(exercise 1: it did not end in|^$)",
    ),
    "rob loop outside": Student(
        LOST,
        with_first("while True:\n  try:\n    import os\n  except: pass\n" + TABLE),
        "exercise 1: it did not end in",
    ),
    "sue memory": Student(LOST, with_first("def alpha_bar(beta):\n    return torch.ones(10 * 2**30)")),
    "tom fork bomb": Student(LOST, with_first("import os\nwhile True:\n    os.fork()"), "os.fork"),
    "uma fork": Student(
        LOST,
        with_first("import os\ntry:\n    os.fork()\nexcept Exception:\n    pass\n" + TABLE),
        "exercise 1, .*os.fork",
    ),
    "vic removes": Student(
        LOST, with_first("import os, shutil\nshutil.rmtree(os.path.expanduser('~'))\n" + TABLE), "shutil.rmtree"
    ),
    "wes network": Student(
        LOST, with_first("import urllib.request\nurllib.request.urlopen('http://192.0.2.1')\n" + TABLE), "urllib"
    ),
    "xia rich": Student(LOST, rich, "exercise 1: the check was changed"),
    "yan own check": Student(LOST, with_first(WRONG_TABLE + "def check_alpha_bar(a): print('Correct.')")),
    "zoe patches": Student(
        LOST,
        with_first("import ddpm_lite.checks as c\nc.check_alpha_bar = lambda a: None\n" + WRONG_TABLE),
        "exercise 1",
    ),
    "abe restores": Student(
        LOST,
        with_first(
            "import ddpm_lite.checks.lesson_01 as c\ndef alpha_bar(b):\n    old = c.diagnose\n"
            "    def new(*a, **k): c.diagnose = old\n    c.diagnose = new\n    return b"
        ),
        "exercise 1, .*refused: ddpm_lite.checks.lesson_01.diagnose = ",
    ),
    "bea modules": Student(
        LOST,
        with_first("import sys, types\nsys.modules['ddpm_lite.checks'] = types.ModuleType('c')\n" + WRONG_TABLE),
        "sys.modules",
    ),
    "cal print": Student(
        LOST,
        with_first("import builtins\nbuiltins.print = lambda *a: None\nbuiltins.exec = print\n" + WRONG_TABLE),
        "exec",
    ),
    "dan torch": Student(
        LOST, with_first("torch.Tensor.__le__ = lambda a, b: torch.ones(1)\n" + WRONG_TABLE), "Tensor.__le__"
    ),
    "eva catches": Student(
        LOST,
        with_first(WRONG_TABLE + "try:\n    check_alpha_bar(alpha_bar)\nexcept AssertionError:\n    print('Correct.')"),
    ),
    "fin liar": Student(LOST, with_first(LIAR), "__torch_function__"),
    "gil frame": Student(
        LOST, with_first(f"import sys\ndef alpha_bar(b):\n    f = sys._getframe(){RETURNS_WANT}"), "_getframe"
    ),
    "hana traceback": Student(
        LOST,
        with_first(
            f"def alpha_bar(b):\n    try: 1 / 0\n    except Exception as e: f = e.__traceback__.tb_frame{RETURNS_WANT}"
        ),
        "tb_frame",
    ),
    "ian exits": Student(LOST, with_first("import os\nos._exit(0)"), "it ended the process"),
    "jia pipe": Student(
        LOST,
        with_first("import os\nfor n in range(3, 200):\n    try: os.write(n, b'right')\n    except OSError: pass"),
        "exercise 1, no points: line 1: import os$",
    ),
    "kurt quits": Student(LOST, with_first("import sys\nsys.exit(0)"), "exercise 1, no points: line 1: import sys$"),
    "lou saves": Student(
        FULL, with_first("import matplotlib.pyplot as plt\nplt.plot([1]).pop()\nplt.savefig('a.png')\n" + TABLE)
    ),
    "mia magic": Student(FULL, with_first("%matplotlib inline\n!pip install nothing\ntorch.cat?\n" + TABLE)),
    "pat markup": Student(FULL, with_first(TABLE + "# <script>alert(1)</script>\nnote = '\ud800 \x1b[2J'")),
    "ron restores": Student(  # as abe, past the words of the scan and the frozen module
        LOST,
        with_first(
            "import operator, sys\nc = operator.itemgetter('ddpm_lite.checks.lesson_01')(getattr(sys, 'modules'))\n"
            "d = getattr(c, '__dict__')\nclass Answer:\n    def __call__(self, b):\n        old = d['diagnose']\n"
            "        def new(*a, **k): d['diagnose'] = old\n        d['diagnose'] = new\n        return b\n"
            "alpha_bar = Answer()"
        ),
        "exercise 1, .*replaced: ddpm_lite.checks.lesson_01.diagnose",
    ),
    "noa grader": Student(
        LOST,
        with_first("import ddpm_lite.teach.judge as j\nj._check = lambda *a: ('right', '')\n" + WRONG_TABLE),
        "teach",
    ),
}


def hand_in(released: Notebook, folder: Path, course: Path) -> dict[str, Student]:
    """Write the submissions of the class and four more; return what is expected, by the student's name."""
    expected = dict(CLASS)
    for i, name in enumerate(CLASS):
        notebook = copy.deepcopy(released)
        expected[name].change(notebook)
        _write(folder, name, i, json.dumps(notebook).encode(), platform=i % 5)
    attack = put(copy.deepcopy(released), {**RIGHT, 1: to_gradebook(str(course.resolve()))})
    _write(folder, "olaf gradebook", 90, json.dumps(attack).encode(), platform=0)
    expected["olaf gradebook"] = Student(LOST, answering({}), "sqlite3")
    late = put(copy.deepcopy(released), RIGHT)
    (folder / "pialate_LATE_91_5000_homework.ipynb").write_text(json.dumps(late), "utf-8")
    expected["pialate"] = Student(FULL, answering({}), late=True)
    broken = json.dumps(put(copy.deepcopy(released), RIGHT)).encode()[:900]
    _write(folder, "qi corrupt", 92, broken, platform=1)
    expected["qi corrupt"] = Student((0, 0, 0, 0), answering({}), "cut off or damaged")
    _write(folder, "ron word", 93, b"Dear teacher", platform=0, file="homework.docx")
    expected["ron word"] = Student((0, 0, 0, 0), answering({}), "no notebook")
    return expected


def _write(folder: Path, name: str, i: int, data: bytes, platform: int, file: str = "my_homework (2).ipynb") -> None:
    """As Moodle's folders, Moodle's names, a plain file, a zip in Moodle's folder, Canvas's names."""
    moodle = f"{name}_{1000 + i}_assignsubmission_file_"
    if platform == 0:
        (folder / moodle).mkdir()
        (folder / moodle / file).write_bytes(data)
    elif platform == 1:
        (folder / f"{moodle}{file}").write_bytes(data)
    elif platform == 2:
        (folder / f"{name}.ipynb").write_bytes(data)
    elif platform == 3:
        (folder / moodle).mkdir()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"work/{file}", data)
            archive.writestr("__MACOSX/work/._x.ipynb", b"junk")
        (folder / moodle / "all.zip").write_bytes(packed.getvalue())
    else:
        (folder / f"{name.replace(' ', '')}_{1000 + i}_77{i}_{file}").write_bytes(data)
