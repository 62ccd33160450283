"""`--watch`: follows the folders and ingests what changed, once a burst of changes is over."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from watchfiles import watch as watch_changes

from ingest.indexing import ROOTS, IngestOptions, ingest
from rag.errors import CollectionLocked, NotFound
from rag.types import IngestReport
from rag.wiring import Services

_DEBOUNCE = 1_600  # milliseconds of changes taken together
_QUIET = 400  # milliseconds without a change that end a burst


def watch(
    paths: Sequence[Path],
    services: Services,
    options: IngestOptions,
    told: Callable[[IngestReport], None],
    stop: threading.Event | None = None,
) -> int:
    """Ingests, then again after every burst of changes, until `stop` is set or the user interrupts.

    Files that are deleted go from the collection, but a folder that vanishes whole (a drive that is not mounted) takes nothing along,
    and what was uploaded or belongs to other folders is never touched.
    """
    told(ingest(paths, services, options))
    following = replace(options, prune=True)
    for _ in watch_changes(
        *paths, debounce=_DEBOUNCE, step=_QUIET, stop_event=stop, raise_interrupt=False, recursive=True
    ):
        there = [p for p in paths if p.exists() and (p.is_file() or any(p.iterdir()))]
        if not there:
            sys.stderr.write("rag: the watched folders are gone or empty; nothing is removed, still watching\n")
            continue
        try:
            report = ingest(there, services, following)
        except CollectionLocked as e:
            sys.stderr.write(f"rag: {e}; trying again after the next change\n")
            continue
        except NotFound:
            continue  # gone again between the change and our look
        if report.added or report.updated or report.removed or report.moved:
            told(report)
    return 0


__all__ = ["ROOTS", "watch"]
