"""Uploads are kept, replaced by name, shown again, and left alone by pruning."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ingest.indexing import IngestOptions, ingest
from ingest.render import page_png
from ingest.uploads import ingest_upload, original, safe_name
from rag.errors import ReadFailed, UsageError
from rag.types import Document
from tests.ingest.samples import pdf
from tests.ingest.toy import ToyServices


def document(services: ToyServices, path: str) -> Document:
    snapshot = services.collection().snapshot()
    return snapshot.document(next(i.document for i in snapshot.documents(None) if i.path == path))


def test_an_upload_is_a_document_under_its_name_and_replaces_its_predecessor(services: ToyServices) -> None:
    first = ingest_upload("note.md", b"# Note\n\nOne.", services, frozenset({"hr"}))
    assert first.added == ("note.md",)
    assert ingest_upload("note.md", b"# Note\n\nOne.", services).unchanged == 1
    assert ingest_upload("note.md", b"# Note\n\nTwo.", services).updated == ("note.md",)
    found = document(services, "note.md")
    assert (found.root, found.text, found.groups) == ("upload", "Note\n\nTwo.", {"hr"})


def test_the_stages_of_an_upload_are_told(services: ToyServices) -> None:
    told: list[str] = []
    ingest_upload("note.md", b"One.", services, progress=lambda stage, done, total: told.append(stage))
    assert list(dict.fromkeys(told)) == ["reading", "read", "embedding"]


def test_what_the_listener_raises_ends_the_upload(services: ToyServices) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        raise InterruptedError(stage)

    with pytest.raises(InterruptedError):
        ingest_upload("note.md", b"One.", services, progress=stop)
    assert services.collection().snapshot().documents(None) == []
    assert ingest_upload("note.md", b"One.", services).added == ("note.md",)


def test_pruning_never_removes_uploads(services: ToyServices, docs: Path) -> None:
    ingest_upload("note.md", b"One.", services)
    (docs / "a.md").write_text("Two.")
    report = ingest([docs], services, IngestOptions(prune=True))
    assert report.removed == () and document(services, "note.md").text == "One."


def test_a_file_with_the_bytes_of_an_upload_does_not_take_it_over(services: ToyServices, docs: Path) -> None:
    ingest_upload("note.md", b"The same words.", services)
    (docs / "copy.md").write_bytes(b"The same words.")
    report = ingest([docs], services)
    assert report.added == ("copy.md",) and report.moved == () and report.embedded <= 1


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.md", "a.md"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.pdf", "y.pdf"),
        ("new\nline.md", "new line.md"),
        ("x" * 300 + ".pdf", "x" * 187 + ".pdf"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["", "..", "/", " . "])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a file name"):
        safe_name(name)


def test_a_page_is_shown_with_the_quote_marked(services: ToyServices) -> None:
    from PIL import Image

    data = pdf(["# Report", "Introduction."], ["The orchard yielded 318 tonnes of", "pears in 2025.", "Nothing else."])
    ingest_upload("report.pdf", data, services)
    found = document(services, "report.pdf")
    path = original(found, services)
    assert path is not None and path.read_bytes() == data

    def yellow(quote: str) -> int:
        picture = Image.open(io.BytesIO(page_png(path, 2, quote))).convert("RGB")
        return sum(n for n, (r, g, b) in picture.getcolors(1 << 24) if r > 200 and g > 170 and b < 60)

    assert yellow("yielded 318 tonnes of pears in 2025") > 2 * yellow("pears in 2025") > 0
    assert yellow("no such words") == 0 and yellow("") == 0


def test_a_page_that_is_not_there_is_a_plain_error(tmp_path: Path) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(pdf(["One page."]))
    with pytest.raises(ReadFailed, match="page 9 of 1"):
        page_png(file, 9)
    file.write_bytes(b"no pdf")
    with pytest.raises(ReadFailed, match="cannot be shown"):
        page_png(file, 1)


def test_the_original_of_a_folder_document_is_the_file_itself(services: ToyServices, docs: Path) -> None:
    (docs / "a.md").write_text("One.")
    ingest([docs], services)
    assert original(document(services, "a.md"), services) == docs / "a.md"
    (docs / "a.md").unlink()
    assert original(document(services, "a.md"), services) is None
