"""`rag eval answers`: several systems on the same questions, and a report that says which answers best."""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path
from typing import Any

from rag.cli import common, emit
from rag.settings import Settings


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the command."""
    p = common(
        commands.add_parser(
            "answers",
            help="compare answers: base model, RAG, LoRA, both",
            description="Asks every arm the same questions and writes report.json, .html, .csv, .md and answers.jsonl.",
            epilog="Example: rag eval answers --questions corpus/golden --arms base,rag --limit 40 --out report",
        )
    )
    which = p.add_mutually_exclusive_group(required=True)
    which.add_argument("--questions", type=Path, metavar="PATH", help="golden questions: a file or a folder")
    which.add_argument(
        "--dataset", type=Path, metavar="DIR", help="BEIR-style folder: its corpus is indexed and asked about"
    )
    p.add_argument("--arms", default="base,rag", help="of base, rag, lora, lora+rag, oracle, distractor, plain, rag:KNOB=VALUE "
                   "(several knobs: rag:KNOB=VALUE;KNOB=VALUE)")  # fmt: skip
    p.add_argument("--model", metavar="NAME", help="generator for all arms: catalog name or a value of RAG_GENERATOR")
    p.add_argument("--lora", type=Path, metavar="DIR", help="folder of `rag tune export`")
    p.add_argument("--split", metavar="NAME", help="only the questions that say `split: NAME`")
    p.add_argument("--limit", type=int, metavar="N", help="this many questions, evenly over kinds and languages")
    p.add_argument("--groups", metavar="g1,g2", help="ask as a caller of these groups (default: as the operator)")
    p.add_argument(
        "--judge", action="store_true", help="also let the local model judge, with its agreement and coverage"
    )
    p.add_argument(
        "--parallel", type=int, default=1, metavar="N", help="questions asked at the same time, for servers that batch; "
        "times then mean nothing"
    )  # fmt: skip
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.set_defaults(run=_run)


def _run(args: Namespace) -> int:
    from eval.answers_run import Wanted, compare_arms
    from eval.verdicts import METRIC

    collection = args.collection
    if args.dataset is not None:
        from eval.dataset_collection import collection_of

        collection = collection_of(args.dataset, Settings.load(home=args.home))

    def load(**changes: Any) -> Settings:
        return Settings.load(**{"home": args.home, "collection": collection, **changes})

    wanted = Wanted(
        questions=args.questions or args.dataset,
        arms=tuple(a.strip().replace(";", ",") for a in args.arms.split(",") if a.strip()),
        out=args.out,
        model=args.model,
        lora=args.lora,
        limit=args.limit,
        seed=args.seed,
        split=args.split,
        groups=frozenset(g.strip() for g in args.groups.split(",")) if args.groups is not None else None,
        judge=args.judge,
        parallel=args.parallel,
        command=_command(),
    )
    found = compare_arms(wanted, load)
    lines = []
    for arm, of in found["arms"].items():
        m, seconds = of["metrics"][METRIC], of["metrics"]["latency_p50"]["mean"]
        lines.append(
            f"{arm:12} correct {m['mean']:.2f} [{m['low']:.2f}, {m['high']:.2f}]  median {seconds:.1f} s  n {m['n']}"
        )
    lines += [v["text"] for v in found["verdicts"] if v["kind"] == "all"]
    emit(args, found, "\n".join([*lines, *found["notes"], f"report: {args.out / 'report.html'}"]))
    return 0


def _command() -> str:
    """The command as typed, folders of this machine cut to their names."""
    words = [Path(w).name if w.startswith("/") else w for w in sys.argv[1:]]
    return shlex.join(["rag", *words])
