"""Which files are found below a path, and to which root they belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.discovery import FoundFile, LeftOut, owner, walk


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def files(start: Path, *roots: Path) -> list[str]:
    return [e.path for e in walk(start, [str(r) for r in roots or (start,)]) if isinstance(e, FoundFile)]


def test_files_come_in_a_stable_order_without_hidden_ones_and_litter(docs: Path) -> None:
    make(
        docs,
        "b.md",
        "a.md",
        "sub/c.md",
        ".git/config",
        ".hidden.md",
        "Thumbs.db",
        "~$memo.docx",
        "node_modules/x.md",
        "old.md~",
    )
    assert files(docs) == ["a.md", "b.md", "sub/c.md"]


def test_a_file_belongs_to_the_deepest_root(docs: Path) -> None:
    make(docs, "a.md", "inner/b.md")
    found = [e for e in walk(docs, [str(docs), str(docs / "inner")]) if isinstance(e, FoundFile)]
    assert [(Path(e.root).name, e.path) for e in found] == [("docs", "a.md"), ("inner", "b.md")]
    assert owner(docs / "inner" / "b.md", [str(docs), str(docs / "inner")]) == str(docs / "inner")
    assert owner(docs, [str(docs / "inner")]) is None


def test_ignore_files_hold_for_their_folder_and_below_and_later_ones_win(docs: Path) -> None:
    make(docs, "a.tmp", "a.md", "sub/b.tmp", "sub/b.md", "sub/keep.tmp", "build/x.md")
    (docs / ".ragignore").write_text("*.tmp\nbuild/\n# a comment\n")
    (docs / "sub" / ".ragignore").write_text("!keep.tmp\n")
    assert files(docs) == ["a.md", "sub/b.md", "sub/keep.tmp"]


def test_ignore_files_above_the_path_hold_too(docs: Path) -> None:
    make(docs, "sub/a.tmp", "sub/a.md")
    (docs / ".ragignore").write_text("*.tmp\n")
    assert files(docs / "sub", docs) == ["sub/a.md"]


@pytest.mark.parametrize("target", ["..", "loop", "a.md"])
def test_links_are_listed_and_not_followed(docs: Path, target: str) -> None:
    make(docs, "a.md")
    (docs / "link").symlink_to(docs / target)
    entries = list(walk(docs, [str(docs)]))
    assert [e.path for e in entries if isinstance(e, FoundFile)] == ["a.md"]
    assert [(e.path, "link" in e.reason) for e in entries if isinstance(e, LeftOut)] == [("link", True)]


def test_a_single_file_is_found_alone(docs: Path) -> None:
    make(docs, "a.md", "b.md")
    assert files(docs / "a.md", docs) == ["a.md"]
