"""`rag eval diff A B`: what changed between two runs, and a gate for continuous integration."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from rag.cli import common, emit


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the command."""
    p = common(
        commands.add_parser(
            "diff",
            help="what changed between two runs",
            description="Compares two runs question by question. Exit code 1 when --gate does not hold.",
        )
    )
    p.add_argument("before", type=Path, metavar="A")
    p.add_argument("after", type=Path, metavar="B")
    p.add_argument("--gate", type=float, metavar="LOSS", help="fail when a figure falls by more than this, e.g. 0.02")
    p.set_defaults(run=_run)


def _run(args: Namespace) -> int:
    if _kind(args.before) == "answers":
        from eval.answers_diff import diff, words

        found = diff(args.before, args.after, args.gate)
        text = words(found)
    else:
        from eval.retrieval_diff import diff as retrieval_diff
        from eval.retrieval_diff import words as retrieval_words

        found = retrieval_diff(args.before, args.after, args.gate)
        text = retrieval_words(found)
    emit(args, found, text)
    if not found["ok"]:
        sys.stderr.write(f"rag: worse by more than {args.gate}: {', '.join(found['failed'])}\n")
        return 1
    return 0


def _kind(folder: Path) -> str:
    """ "answers" or "retrieval". A folder without a readable report is left to the reader to refuse."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "answers"
    return "retrieval" if "runs" in report else "answers"
