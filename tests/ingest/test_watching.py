"""--watch: bursts of changes are taken together, uploads stay, a vanished drive removes nothing."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue

import pytest

from ingest.indexing import IngestOptions
from ingest.uploads import ingest_upload
from ingest.watching import watch
from rag.types import IngestReport
from tests.ingest.toy import ToyServices


class Watched:
    def __init__(self, docs: Path, services: ToyServices) -> None:
        self.reports: Queue[IngestReport] = Queue()
        self.stop = threading.Event()
        self.thread = threading.Thread(
            target=watch, args=([docs], services, IngestOptions(), self.reports.put, self.stop)
        )
        self.thread.start()

    def next(self) -> IngestReport:
        return self.reports.get(timeout=60)


@pytest.fixture
def watched(docs: Path, services: ToyServices) -> Iterator[Watched]:
    ingest_upload("note.md", b"Uploaded.", services)
    (docs / "a.md").write_text("One.")
    made = Watched(docs, services)
    try:
        yield made
    finally:
        made.stop.set()
        made.thread.join(30)


def paths(services: ToyServices) -> set[str]:
    return {i.path for i in services.collection().snapshot().documents(None)}


def test_changes_are_followed_and_uploads_stay(watched: Watched, docs: Path, services: ToyServices) -> None:
    assert watched.next().added == ("a.md",)
    time.sleep(0.5)  # the watcher is set up after the first run
    for n in range(5):
        (docs / f"new{n}.md").write_text(f"New {n}.")
    (docs / "a.md").unlink()
    added: set[str] = set()
    removed: set[str] = set()
    while len(added) < 5 or not removed:
        report = watched.next()
        added |= set(report.added)
        removed |= set(report.removed)
    assert removed == {"a.md"} and paths(services) == {"note.md", *(f"new{n}.md" for n in range(5))}


def test_a_folder_that_vanishes_whole_takes_nothing_along(
    watched: Watched, docs: Path, services: ToyServices, capsys: pytest.CaptureFixture[str]
) -> None:
    watched.next()
    time.sleep(0.5)
    shutil.move(docs, docs.with_name("elsewhere"))
    with pytest.raises(Empty):
        watched.reports.get(timeout=4)
    assert paths(services) == {"note.md", "a.md"}
