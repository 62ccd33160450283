"""`rag eval retrieval`: how well the search finds, part by part, on a judged data set."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path
from typing import TYPE_CHECKING

from rag.cli import common, emit
from rag.settings import Settings

if TYPE_CHECKING:
    from eval.retrieval import Engine
    from rag.protocols import Vectors
    from rag.retrieval.fields import Fields
    from rag.types import Mode
    from rag.wiring import Services

RUNS = "bm25,dense,hybrid,rerank"


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the command."""
    p = common(
        commands.add_parser(
            "retrieval",
            help="measure the search on a judged data set",
            description="Indexes the corpus once (kept in the home), runs the service's own search over the questions and writes "
            "report.json, report.html and scores.jsonl.",
            epilog="Runs: bm25, dense, hybrid, rerank; rrf (ranks instead of scores); and for an ablation any lists joined by +, "
            "e.g. e5, bge-en, bm25+e5. Example: rag eval retrieval --dataset DIR --runs bm25,dense,hybrid,rerank --out report",
        )
    )
    p.add_argument(
        "--dataset", type=Path, required=True, metavar="DIR", help="corpus.jsonl, queries.jsonl, qrels.tsv (.gz)"
    )
    p.add_argument("--runs", default=RUNS, help=f"in the order they are compared (default: {RUNS})")
    p.add_argument("--limit", type=int, metavar="N", help="the first N questions of each set")
    p.add_argument(
        "--pool", default="", metavar="DIR,DIR", help="further data sets whose corpora are searched together with it"
    )
    p.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.set_defaults(run=_run)


def _run(args: Namespace) -> int:
    from eval.dataset_collection import pooled_collection
    from eval.pooling import pooled
    from eval.retrieval import parse_runs, run_all
    from eval.retrieval_report import report, words, write
    from rag.wiring import Services

    runs = parse_runs(args.runs)
    folders = [args.dataset, *(Path(p) for p in args.pool.split(",") if p.strip())]
    queries, names = pooled(folders, args.limit)
    settings = Settings.load(home=args.home)
    collection = pooled_collection(folders, settings)
    settings = settings.with_changes(collection=collection)
    with Services(settings, lasting=True) as services:
        fields = _remembering(services.fields())
        engines = {name: _engine(services, fields, name) for name in runs}
        progress = _Progress(len(runs) * len(queries))
        found = run_all(queries, engines, progress.step)
        progress.done()
    made = report(found, queries, settings=settings.public(), datasets=names, seed=args.seed)
    write(made, found, queries, args.out)
    emit(args, made, words(made) + f"\nreport: {args.out / 'report.html'}")
    return 0


def _engine(services: Services, fields: Fields, name: str) -> Engine:
    """What a run's name stands for. `fields` are those that remember questions; searches that are timed take the service's own.
    Raises UsageError for a name that is not known."""
    from eval.retrieval import Engine, unknown
    from rag.errors import UsageError
    from rag.retrieval.retriever import HybridRetriever

    collection, settings = services.collection(), services.settings
    fixed: dict[str, Mode] = {"bm25": "keyword", "dense": "dense", "hybrid": "hybrid", "rerank": "hybrid"}
    if name in fixed:
        ranking = HybridRetriever(collection, fields, settings)
        return Engine(ranking, services.retriever(), fixed[name], name == "rerank")
    lists = {"bm25": "keyword"} | {f: f for f in collection.card.names}
    bad = unknown([name], [*lists, "rrf"])
    if bad:
        raise UsageError(
            f"--runs: {name!r} is no run; take bm25, dense, hybrid, rerank, rrf or lists of {', '.join(lists)}"
        )
    parts = name.split("+")
    named = frozenset(lists[p] for p in parts if p != "rrf")

    def made(of: Fields) -> HybridRetriever:
        return HybridRetriever(collection, of, settings, only=named or None, ranks="rrf" in parts)

    return Engine(made(fields), made(services.fields()), "hybrid", False)


def _remembering(fields: Fields) -> Fields:
    """The same fields, embedding each question once however many runs ask it."""
    from rag.retrieval.fields import Fields

    class Remembering(Fields):
        def __init__(self) -> None:
            self.card = fields.card
            self.embedders = fields.embedders
            self._asked: dict[tuple[str, str], dict[str, Vectors]] = {}

        def question(self, text: str, language: str) -> dict[str, Vectors]:
            if (text, language) not in self._asked:
                self._asked[text, language] = fields.question(text, language)
            return self._asked[text, language]

    return Remembering()


class _Progress:
    """A counter on stderr, where that is a terminal."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, unit="question", file=sys.stderr, disable=not sys.stderr.isatty())

    def step(self, n: int) -> None:
        self._bar.update(n)

    def done(self) -> None:
        self._bar.close()
