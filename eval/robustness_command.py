"""`rag eval robustness`: noise, missing answers, several documents, false documents (RGB)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from rag.cli import common, emit
from rag.settings import Settings


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the command."""
    p = common(
        commands.add_parser(
            "robustness",
            help="answers under noise, missing and false documents",
            description="Measures robustness on the RGB benchmark (Chen et al. 2024), against the plain prompt in the same run.",
        )
    )
    p.add_argument(
        "--dataset", type=Path, required=True, metavar="DIR", help="folder of RGB files (*_refine, *_int, *_fact)"
    )
    p.add_argument("--model", metavar="NAME")
    p.add_argument("--noise", default="0,0.2,0.4,0.6,0.8", help="noise rates")
    p.add_argument("--documents", type=int, default=5, help="documents in a prompt")
    p.add_argument("--limit", type=int, metavar="N", help="questions of each file")
    p.add_argument(
        "--parallel", type=int, default=1, metavar="N", help="questions asked at the same time, for servers that batch"
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.set_defaults(run=_run)


def _run(args: Namespace) -> int:
    from eval.robustness import words
    from eval.robustness_run import Wanted, measure
    from rag.errors import UsageError

    try:
        noise = tuple(float(x) for x in args.noise.split(","))
    except ValueError as e:
        raise UsageError(f"--noise {args.noise}: give numbers from 0 to 1, such as 0,0.4,0.8") from e
    generator = args.model and (args.model if ":" in args.model else f"embedded:{args.model}")
    settings = Settings.load(home=args.home, collection=args.collection, generator=generator)
    found = measure(
        Wanted(args.dataset, noise, args.documents, args.limit, args.seed, args.out, args.parallel), settings
    )
    emit(args, found, words(found))
    return 0
