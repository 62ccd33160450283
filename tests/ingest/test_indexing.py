"""A folder and its collection kept in step: what is read, embedded, moved, removed and left alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ingest.indexing import IngestOptions, ingest
from rag.errors import NotFound, UsageError
from rag.storage.snapshot import DocumentInfo
from rag.types import IngestReport
from tests.ingest.samples import zip_of
from tests.ingest.toy import ToyServices

BOOK = "# Book\n\n" + "\n\n".join(
    f"## Part {n}\n\n" + f"Paragraph {n} speaks of item number {n * 37}. " * 12 for n in range(20)
)


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def run(services: ToyServices, *paths: Path, **options: object) -> IngestReport:
    return ingest(list(paths), services, IngestOptions(**options))  # type: ignore[arg-type]


def infos(services: ToyServices) -> dict[str, DocumentInfo]:
    return {i.path: i for i in services.collection().snapshot().documents(None)}


def text_of(services: ToyServices, path: str) -> str:
    return services.collection().snapshot().document(infos(services)[path].document).text


def test_files_become_documents_with_paths_relative_to_their_root(services: ToyServices, docs: Path) -> None:
    write(docs, "a.md", "# A\n\nOne.")
    write(docs, "sub/b.txt", "Two words.")
    report = run(services, docs)
    assert (
        sorted(report.added) == ["a.md", "sub/b.txt"]
        and report.chunks == report.embedded == 2
        and report.generation == 1
    )
    assert set(infos(services)) == {"a.md", "sub/b.txt"} and infos(services)["a.md"].root == str(docs)


def test_a_second_run_reads_and_embeds_nothing(services: ToyServices, docs: Path) -> None:
    write(docs, "a.md", "One.")
    write(docs, "z.zip", zip_of({"x.md": "In a zip.", "y.md": "Too."}))
    run(services, docs)
    services.toy.embedded.clear()
    report = run(services, docs)
    assert (report.added, report.updated, report.unchanged, report.embedded) == ((), (), 3, 0)
    assert report.generation == 1 and services.toy.embedded == []


def test_a_file_that_was_only_touched_is_unchanged(services: ToyServices, docs: Path) -> None:
    path = write(docs, "a.md", "One.")
    run(services, docs)
    os.utime(path, (1, 1))
    assert run(services, docs).unchanged == 1


def test_an_edited_paragraph_embeds_its_chunk_only(services: ToyServices, docs: Path) -> None:
    write(docs, "book.md", BOOK)
    assert run(services, docs).embedded == 20
    write(docs, "book.md", BOOK.replace("item number 370.", "item number 999370."))
    report = run(services, docs)
    assert report.updated == ("book.md",) and report.embedded == 1 and report.chunks == 20
    assert "999370" in text_of(services, "book.md")


def test_a_rename_is_a_move_and_embeds_nothing(services: ToyServices, docs: Path) -> None:
    write(docs, "book.md", BOOK)
    run(services, docs)
    before = infos(services)["book.md"]
    (docs / "book.md").rename(docs / "volume.md")
    for dry in (True, False):
        report = run(services, docs, prune=True, dry_run=dry)
        assert report.moved == (("book.md", "volume.md"),) and report.embedded == 0 and report.removed == ()
    after = infos(services)
    assert set(after) == {"volume.md"} and after["volume.md"].chunks == before.chunks
    assert run(services, docs).unchanged == 1


def test_token_codes_follow_their_chunks_through_edits_and_renames(services: ToyServices, docs: Path) -> None:
    write(docs, "book.md", BOOK)
    run(services, docs)
    write(docs, "book.md", BOOK.replace("item number 74", "item number 75"))
    run(services, docs)
    (docs / "book.md").rename(docs / "tome.md")
    run(services, docs, prune=True)
    snapshot = services.collection().snapshot()
    chunks = snapshot.document_chunks(infos(services)["tome.md"].document)
    codes = snapshot.token_codes([c.content_hash for c in chunks])
    assert len(chunks) > 1 and [codes.get(c.content_hash) for c in chunks] == [c.text.encode() for c in chunks]


def test_a_file_that_is_gone_stays_until_it_is_pruned(services: ToyServices, docs: Path) -> None:
    write(docs, "a.md", "One.")
    write(docs, "b.md", "Two.").unlink()
    write(docs, "b.md", "Two.")
    run(services, docs)
    (docs / "b.md").unlink()
    assert run(services, docs).removed == () and set(infos(services)) == {"a.md", "b.md"}
    assert run(services, docs, prune=True).removed == ("b.md",) and set(infos(services)) == {"a.md"}


def test_pruning_one_folder_leaves_the_others_alone(services: ToyServices, docs: Path) -> None:
    gone, kept = write(docs, "one/a.md", "One."), write(docs, "two/b.md", "Two.")
    run(services, docs)
    gone.unlink()
    kept.unlink()
    assert run(services, docs / "one", prune=True).removed == ("one/a.md",)
    assert set(infos(services)) == {"two/b.md"}


def test_a_dry_run_changes_nothing_and_tells_the_difference(services: ToyServices, docs: Path) -> None:
    write(docs, "a.md", "One.")
    assert run(services, docs, dry_run=True).added == ("a.md",)
    assert not services.home.exists("default")
    run(services, docs)
    write(docs, "a.md", "One, edited.")
    write(docs, "b.md", "Two.")
    report = run(services, docs, dry_run=True)
    assert (report.added, report.updated, report.generation) == (("b.md",), ("a.md",), 1)
    assert text_of(services, "a.md") == "One." and set(infos(services)) == {"a.md"}


def test_groups_are_kept_unless_others_are_named(services: ToyServices, docs: Path) -> None:
    path = write(docs, "a.md", "One.")
    run(services, docs, groups=frozenset({"hr"}))
    write(docs, "a.md", "One, edited.")
    run(services, docs)
    assert infos(services)["a.md"].groups == {"hr"}
    report = run(services, path, groups=frozenset({"board"}))
    assert infos(services)["a.md"].groups == {"board"} and report.updated == ("a.md",) and report.embedded == 0


def test_every_failure_is_listed_again_and_stops_nothing(services: ToyServices, docs: Path) -> None:
    write(docs, "good.md", "Good.")
    write(docs, "broken.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 8)
    write(docs, "empty.md", "")
    write(docs, "unknown.xyz", b"\x01\x02")
    for _ in range(2):
        report = run(services, docs)
        assert [f.path for f in report.failed] == ["broken.pdf"] and report.failed[0].reason
        assert {s.path for s in report.skipped} == {"empty.md", "unknown.xyz"}
    assert set(infos(services)) == {"good.md"}


def test_a_file_that_breaks_keeps_what_was_last_read(services: ToyServices, docs: Path) -> None:
    from tests.ingest.samples import docx

    write(docs, "memo.docx", docx(paragraphs=["The deposit is 6,600 dollars."]))
    run(services, docs)
    write(docs, "memo.docx", b"broken")
    report = run(services, docs)
    assert [f.path for f in report.failed] == ["memo.docx"] and report.removed == ()
    assert "6,600" in text_of(services, "memo.docx")


def test_a_member_that_left_its_archive_is_removed(services: ToyServices, docs: Path) -> None:
    write(docs, "z.zip", zip_of({"x.md": "X.", "y.md": "Y."}))
    run(services, docs)
    write(docs, "z.zip", zip_of({"x.md": "X."}))
    report = run(services, docs)
    assert report.removed == ("z.zip!/y.md",) and set(infos(services)) == {"z.zip!/x.md"}


def test_a_rollback_makes_the_changed_file_be_read_again(services: ToyServices, docs: Path) -> None:
    write(docs, "a.md", "One.")
    run(services, docs)
    write(docs, "a.md", "Two.")
    run(services, docs)
    services.collection().rollback(1)
    assert text_of(services, "a.md") == "One."
    assert run(services, docs).updated == ("a.md",) and text_of(services, "a.md") == "Two."


def test_links_lead_nowhere(services: ToyServices, docs: Path, tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.md", "TOP SECRET")
    write(docs, "a.md", "One.")
    (docs / "link.md").symlink_to(secret)
    (docs / "folder").symlink_to(tmp_path)
    (docs / "loop").symlink_to(docs)
    report = run(services, docs)
    assert set(infos(services)) == {"a.md"} and len(report.skipped) == 3


def test_odd_names_are_no_trouble(services: ToyServices, docs: Path) -> None:
    for name in ("new\nline.md", "x" * 200 + ".md", "名 字.md", "-rf.md"):
        write(docs, name, "Odd.")
    (Path(os.fsdecode(os.fsencode(docs) + b"/\xff\xfe.md"))).write_text("Not UTF-8.")
    report = run(services, docs)
    assert len(report.added) == 5 and not report.failed and "\\xff\\xfe.md" in report.added


def test_ragignore_leaves_files_out_and_prune_takes_them_away(services: ToyServices, docs: Path) -> None:
    write(docs, "keep.md", "Keep.")
    write(docs, "drafts/x.md", "Draft.")
    write(docs, "drafts/final.md", "Final.")
    run(services, docs)
    write(docs, ".ragignore", "drafts/*\n!drafts/final.md\n")
    report = run(services, docs, prune=True)
    assert report.removed == ("drafts/x.md",) and set(infos(services)) == {"keep.md", "drafts/final.md"}


def test_an_inner_path_belongs_to_the_root_that_is_known(services: ToyServices, docs: Path) -> None:
    write(docs, "sub/a.md", "One.")
    run(services, docs)
    assert run(services, docs / "sub").unchanged == 1
    assert run(services, docs / "sub" / "a.md").unchanged == 1
    assert set(infos(services)) == {"sub/a.md"}


def test_a_single_file_registers_its_folder_and_touches_nothing_else(services: ToyServices, docs: Path) -> None:
    write(docs, "b.md", "Two.")
    run(services, write(docs, "a.md", "One."))
    assert set(infos(services)) == {"a.md"} and infos(services)["a.md"].root == str(docs)


def test_newer_versions_supersede_older_ones_and_step_back_when_removed(services: ToyServices, docs: Path) -> None:
    text = "# Pump manual\n\nThe seal of pump PX-77 is replaced every {} hours by a trained person.\n"
    write(docs, "pump-2024.md", text.format(900))
    new = write(docs, "pump-2026.md", text.format("1,100"))
    run(services, docs)
    found = infos(services)
    assert found["pump-2024.md"].superseded_by == found["pump-2026.md"].document
    assert found["pump-2026.md"].superseded_by is None
    new.unlink()
    run(services, docs, prune=True)
    assert infos(services)["pump-2024.md"].superseded_by is None


def test_a_cancelled_run_keeps_what_it_has_and_the_next_goes_on(services: ToyServices, docs: Path) -> None:
    for n in range(30):
        write(docs, f"{n:02d}.md", f"Text {n}.")
    cancel = threading.Event()

    class Stop:
        def start(self, files: int) -> None: ...
        def embedding(self, total: int) -> None: ...
        def chunks(self, count: int, total: int) -> None: ...
        def file(self, path: str, pages: int) -> None:
            cancel.set()

    first = ingest([docs], services, IngestOptions(prune=True), Stop(), cancel)
    assert 0 < len(first.added) < 30
    second = run(services, docs, prune=True)
    assert len(first.added) + len(second.added) == 30 and second.unchanged == len(first.added)


def test_what_cannot_be_done_is_said(services: ToyServices, docs: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        run(services, docs / "nowhere")
    with pytest.raises(NotFound, match="no files in it"):
        run(services, docs)
    with pytest.raises(UsageError, match="no path"):
        run(services)


def test_the_home_folder_is_not_a_document(services: ToyServices, docs: Path, tmp_path: Path) -> None:
    write(docs, "a.md", "One.")
    run(services, docs)
    assert set(run(services, tmp_path).added) == set()


def test_a_file_of_garbage_is_listed_as_a_red_page(services: ToyServices, docs: Path) -> None:
    garbage = "公司员工每年享有带薪年休假十四天，请假须提前三天提出申请并经批准。".encode().decode(
        "gb18030", errors="replace"
    )
    write(docs, "garbled.txt", garbage)
    write(docs, "clean.txt", "Everybody has fourteen days of leave a year, and asks for it three days ahead.")
    assert [p.path for p in run(services, docs).red_pages] == ["garbled.txt"]
    from ingest.page_report import red_pages_below

    assert [p.path for p in red_pages_below([docs], services)] == ["garbled.txt"]
