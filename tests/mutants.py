"""How well the checks tell right answers from wrong ones: `make mutants`.

Every check is tried on the answers in `answers/`. A right answer has to be accepted; a wrong one, a mutant, has to be
rejected with the words that belong to its mistake. Inputs are drawn anew, so each is tried several times.

    python tests/mutants.py [--rounds 3] [NAME ...]      a NAME is a check, or the beginning of one: check_alpha
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ddpm_lite import checks
from ddpm_lite.checks import WrongAnswer

ANSWERS = Path(__file__).parent / "answers"
NAMES = [name for name in checks.__all__ if name.startswith("check_")]
GENERIC = "is wrong: where"  # what `diagnose` says of a result that it does not know


@dataclass
class Cases:
    """What one check is tried on: the module of answers, right answers, and wrong ones with their message."""

    lesson: str = ""
    right: list[Any] = field(default_factory=list)
    wrong: list[tuple[Any, str]] = field(default_factory=list)

    def rounds(self, wanted: int) -> int:
        """How often an answer is tried: once in lesson 00, whose checks sample digits."""
        return 1 if self.lesson == "lesson_00" else wanted

    def specific(self) -> int:
        """The number of different messages that are meant for one mistake."""
        return len({message for _, message in self.wrong if GENERIC not in message})


def load() -> dict[str, Cases]:
    """All answers in `answers/`, by the name of their check."""
    cases = {name: Cases() for name in NAMES}
    for path in sorted(ANSWERS.glob("lesson_*.py")):
        module = importlib.import_module(f"answers.{path.stem}")
        for check, answer in module.RIGHT:
            cases[check.__name__].lesson = path.stem
            cases[check.__name__].right.append(answer)
        for check, answer, message in module.WRONG:
            cases[check.__name__].wrong.append((answer, message))
    return cases


def said(check: Callable[[Any], None], answer: Any) -> str:
    """What a check says of an answer: "Correct. ...", or why it is wrong."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            check(answer)
        except WrongAnswer as error:
            return str(error)
    return out.getvalue()


def judge(name: str, cases: Cases, rounds: int) -> tuple[int, int, list[str]]:
    """How many right answers were accepted, how many wrong ones rejected with their message, and what was not."""
    check, rounds, failures = getattr(checks, name), cases.rounds(rounds), []
    for i, answer in enumerate(cases.right):
        others = [words for _ in range(rounds) if not (words := said(check, answer)).startswith("Correct. ")]
        failures += [f"right answer {i} is told: {words}" for words in others[:1]]
    accepted = len(cases.right) - len(failures)
    for answer, message in cases.wrong:
        others = [words for _ in range(rounds) if not re.search(message, words := said(check, answer)) or
                  words.startswith("Correct. ")]  # fmt: skip
        failures += [f"the mistake {message!r} is told: {words}" for words in others[:1]]
    return accepted, len(cases.wrong) - (len(failures) - len(cases.right) + accepted), failures


def main(arguments: list[str] | None = None) -> int:
    """Print the table; returns 1 where an answer was misjudged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="checks; all of them when none is named")
    parser.add_argument("--rounds", type=int, default=3, help="how often each answer is tried, with fresh inputs")
    options = parser.parse_args(arguments)
    chosen = {name: c for name, c in load().items() if name.startswith(tuple(options.names or [""]))}
    width = max(map(len, chosen), default=0)
    print(f"{'exercise':{width}}  right accepted  wrong rejected with their message  score", flush=True)
    totals, all_failures = [0, 0, 0, 0], []
    for name, cases in sorted(chosen.items(), key=lambda item: (item[1].lesson, item[0])):
        accepted, rejected, failures = judge(name, cases, options.rounds)
        row = accepted, len(cases.right), rejected, len(cases.wrong)
        totals = [a + b for a, b in zip(totals, row, strict=True)]
        print(_row(name, width, *row), flush=True)
        all_failures += [f"{name}: {failure}" for failure in failures]
    print(_row(f"all {len(chosen)}", width, *totals))
    print(*all_failures, sep="\n")
    return int(bool(all_failures))


def _row(name: str, width: int, accepted: int, right: int, rejected: int, wrong: int) -> str:
    score = (accepted + rejected) / (right + wrong) if right + wrong else 0.0
    return f"{name:{width}}  {accepted:6} of {right:<5}  {rejected:14} of {wrong:<15}  {score:5.0%}"


if __name__ == "__main__":
    sys.exit(main())
