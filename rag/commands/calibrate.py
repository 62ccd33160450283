"""`rag calibrate`: learns from the collection when to refuse, and shows what each choice costs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from typing import Any

from rag.cli import common, emit
from rag.errors import UsageError
from rag.settings import Settings
from rag.wiring import Services


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "calibrate",
        help="learn from the documents when an answer must be refused",
        description="Makes questions from the collection's own passages, asks each with and without its document, and stores "
        "from when on an answer is refused. RAG_MAX_WRONG then says how many wrong answers are allowed.",
        epilog="Example: rag calibrate --questions 40 && RAG_MAX_WRONG=0.05 rag ask ...",
    )
    common(command)
    command.add_argument("--questions", type=int, default=40, metavar="N", help="questions to make (default 40)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--show", action="store_true", help="show the stored curve and change nothing")
    command.set_defaults(run=run_calibrate)


def run_calibrate(args: Namespace) -> int:
    """Fits, stores and prints the risk-coverage curve."""
    if args.questions < 5:
        raise UsageError("--questions must be at least 5")
    with Services(Settings.load(home=args.home, collection=args.collection), lasting=True) as services:
        collection = services.collection()
        if args.show:
            stored = collection.get_setting("calibration")
            if not isinstance(stored, dict):
                raise UsageError(f"collection {collection.name} is not calibrated; run `rag calibrate` first")
            emit(args, stored, _text(stored))
            return 0
        from rag.generation.calibration import fit, make_questions, try_questions

        generator = services.generator()
        questions = make_questions(collection, generator, args.questions, args.seed, _say)
        trials = try_questions(
            questions, collection, services.retriever(), generator, services.settings, _say, services.relevance()
        )
        fitted = fit(trials) | {"model": generator.name, "generation": collection.generation}
        collection.set_setting("calibration", fitted)
    emit(args, fitted, _text(fitted))
    return 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _text(calibration: dict[str, Any]) -> str:
    lines = [
        f"{calibration['questions']} questions, {calibration['answered']} answered by {calibration.get('model', '?')}; "
        f"refused below confidence {calibration['threshold']:.2f}",
        "threshold  answered  wrong among them",
    ]
    curve = calibration["curve"]
    step = max(len(curve) // 12, 1)
    lines += [f"{p['threshold']:9.3f}  {p['coverage']:8.0%}  {p['wrong']:8.0%}" for p in curve[::step]]
    return "\n".join(lines)
