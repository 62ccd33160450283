"""`rag ingest`: parse, wire, call, print."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from ingest.indexing import IngestOptions, ingest
from ingest.progress import Bar, Progress, Silent
from rag.cli import emit
from rag.errors import UsageError
from rag.settings import Settings
from rag.types import IngestReport
from rag.wire import page_json, report_json
from rag.wiring import Services

_LISTED = 20  # lines of a list before "and N more"


def run(args: Namespace) -> int:
    """0, or 3 when files could not be read."""
    settings = Settings.load(home=args.home, collection=args.collection)
    options = IngestOptions(groups=parse_groups(args.groups), prune=args.prune, dry_run=args.dry_run, again=args.again)
    paths = [Path(p) for p in args.paths]
    with Services(settings) as services:
        if args.watch:
            from ingest.watching import watch

            return watch(paths, services, options, lambda report: _print(args, services, report))
        report = _with_bar(paths, services, options)
        _print(args, services, report)
    return 3 if report.failed else 0


def parse_groups(text: str | None) -> frozenset[str] | None:
    """The groups of "g1,g2"; None when the flag was not given. Raises UsageError for an empty list or odd names."""
    if text is None:
        return None
    groups = frozenset(g.strip() for g in text.split(",") if g.strip())
    if not groups:
        raise UsageError("--groups: no group named; write --groups g1,g2")
    return groups


def _with_bar(paths: list[Path], services: Services, options: IngestOptions) -> IngestReport:
    if not sys.stderr.isatty():
        return ingest(paths, services, options, Silent())
    bar = Bar()
    progress: Progress = bar
    try:
        return ingest(paths, services, options, progress)
    finally:
        bar.close()


def _print(args: Namespace, services: Services, report: IngestReport) -> None:
    document: dict[str, Any] = report_json(report)
    if args.report and not args.dry_run:
        from ingest.page_report import red_pages_below

        pages = red_pages_below([Path(p) for p in args.paths], services)
        document["red_pages"] = [page_json(p) for p in pages]
    else:
        pages = list(report.red_pages)
    if args.dry_run:
        document["diff"] = {
            "added": list(report.added),
            "updated": list(report.updated),
            "removed": list(report.removed),
            "moved": [list(m) for m in report.moved],
        }
    lines = []
    if args.dry_run:
        lines += (
            [f"+ {p!s}" for p in report.added] + [f"~ {p}" for p in report.updated] + [f"- {p}" for p in report.removed]
        )
        lines += [f"> {a} -> {b}" for a, b in report.moved]
    verb = "would be " if args.dry_run else ""
    lines.append(
        f"{verb}added {len(report.added)}, updated {len(report.updated)}, unchanged {report.unchanged}, removed {len(report.removed)}, moved {len(report.moved)}; "
        f"{report.chunks} chunks, {report.embedded} embedded, {report.seconds:.1f} s, generation {report.generation}"
    )
    lines += _listing("could not be read", [f"{f.path!r}: {f.reason}" for f in report.failed], limit=None)
    lines += _listing("skipped", [f"{f.path!r}: {f.reason}" for f in report.skipped])
    lines += _listing(
        "pages read badly",
        [
            f"{p.path!r} page {p.page}: text score {p.text_score:.2f}, {p.characters_lost} characters lost{', OCR' if p.ocr else ''}"
            for p in pages
        ],
        limit=None if args.report else _LISTED,
    )
    emit(args, document, "\n".join(lines))


def _listing(title: str, lines: list[str], limit: int | None = _LISTED) -> list[str]:
    if not lines:
        return []
    shown = lines if limit is None else lines[:limit]
    more = [f"  and {len(lines) - len(shown)} more"] if len(shown) < len(lines) else []
    return [f"{title}: {len(lines)}", *(f"  {x}" for x in shown), *more]
