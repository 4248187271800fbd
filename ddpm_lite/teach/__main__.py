"""``python -m ddpm_lite.teach VERB``: assignments, grading and the quiz bank, for instructors; each --help teaches."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

VERBS = {"release": "make a course of exercise sets", "grade": "score what students hand in", "quiz": "make a quiz"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; an error of the user's is one line, not a traceback."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser("python -m ddpm_lite.teach", description=__doc__, formatter_class=raw)
    verbs = top.add_subparsers(dest="verb", required=True, metavar=" | ".join(VERBS))
    for verb, summary in VERBS.items():
        module = importlib.import_module(f".{verb}", __package__)
        parser = verbs.add_parser(
            verb,
            help=summary,
            description=module.__doc__,
            epilog=getattr(module, "EXAMPLES", None),
            formatter_class=raw,
        )
        module.add_arguments(parser)
    args = top.parse_args(argv)
    try:
        return int(importlib.import_module(f".{args.verb}", __package__).run(args) or 0)
    except ModuleNotFoundError as error:
        print(f'error: {error.name} is missing; in a clone: pip install -e ".[teach]"', file=sys.stderr)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
