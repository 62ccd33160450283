"""The commands over documents, collections and generations, through the command line itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag.cli import main
from rag.storage.home import Home
from tests.rag.storage.stores import CARD, put


@pytest.fixture
def filled(home: Path) -> Path:
    """A home with two documents and three generations."""
    collection = Home(home).create("default", CARD)
    put(collection, ("a", "violet"), ("b", "hidden", ["hr"]))
    put(collection, ("a", "amber"))
    collection.close()
    return home


def rag(home: Path, capsys: pytest.CaptureFixture[str], *words: str | Path) -> Any:
    """What the command prints under --json; its exit code must be 0."""
    assert main([*map(str, words), "--home", str(home), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line it says when it fails."""
    assert main([*words, "--home", str(home)]) in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith("rag: ")
    assert said.count("\n") == 1
    return said


def test_documents_list_show_remove(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = rag(filled, capsys, "documents", "list")["documents"]
    assert [(d["document"], d["path"], d["groups"], d["chunks"]) for d in listed] == [
        ("a", "a.md", ["public"], 1),
        ("b", "b.md", ["hr"], 1),
    ]
    assert [d["path"] for d in rag(filled, capsys, "documents", "list", "--groups", "eng")["documents"]] == ["a.md"]
    shown = rag(filled, capsys, "documents", "show", "a.md")
    assert (shown["text"], shown["chunk_list"][0]["span"]) == ("amber", [0, 5])
    assert rag(filled, capsys, "documents", "show", "a.md", "--as-of", "1")["text"] == "violet"
    removed = rag(filled, capsys, "documents", "remove", "b.md")
    assert (removed["generation"], removed["removed"][0]["document"]) == (3, "b")
    assert len(rag(filled, capsys, "documents", "list")["documents"]) == 1


def test_show_does_not_tell_hidden_from_missing(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = refused(filled, capsys, "documents", "show", "b.md", "--groups", "eng")
    assert hidden.replace("b.md", "zz.md") == refused(filled, capsys, "documents", "show", "zz.md", "--groups", "eng")


def test_diff_and_rollback(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = rag(filled, capsys, "diff", "1", "2")
    assert {k: [d["path"] for d in v] for k, v in changes.items()} == {"added": [], "changed": ["a.md"], "removed": []}
    assert rag(filled, capsys, "rollback", "1") == {"generation": 3, "as": 1}
    assert rag(filled, capsys, "documents", "show", "a.md")["text"] == "violet"
    assert "generation 99" in refused(filled, capsys, "diff", "1", "99")
    assert "generation 99" in refused(filled, capsys, "rollback", "99")


def test_verify_exits_1_when_something_is_damaged(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rag(filled, capsys, "verify") == {"ok": True, "problems": []}
    file = next((filled / "collections/default/segments").glob("*.flat"))
    file.write_bytes(file.read_bytes()[:-1])
    assert main(["verify", "--home", str(filled), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert file.name in found["problems"][0]
    assert "no such home" in refused(filled / "none", capsys, "verify")


def test_backup_and_restore(filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = rag(filled, capsys, "backup", tmp_path / "b.tar")
    assert made["bytes"] == (tmp_path / "b.tar").stat().st_size
    back = rag(tmp_path / "other", capsys, "restore", tmp_path / "b.tar")
    assert back == {"collection": "default", "documents": 2, "generation": 2}
    assert "exists already" in refused(tmp_path / "other", capsys, "restore", str(tmp_path / "b.tar"))
    assert rag(tmp_path / "other", capsys, "restore", tmp_path / "b.tar", "--collection", "two")["collection"] == "two"


def test_collections_list_compact_history_remove(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (listed,) = rag(filled, capsys, "collections", "list")["collections"]
    assert (listed["name"], listed["documents"], listed["chunks"], listed["generation"]) == ("default", 2, 2, 2)
    assert rag(filled, capsys, "collections", "compact", "--keep", "1") == {
        "name": "default",
        "dropped": 1,
        "segments": 1,
    }
    assert [g["generation"] for g in rag(filled, capsys, "collections", "history")["generations"]] == [2]
    assert "no longer kept" in refused(filled, capsys, "rollback", "1")
    assert rag(filled, capsys, "collections", "remove", "default") == {"removed": "default"}
    assert rag(filled, capsys, "collections", "list") == {"collections": []}
    assert "there is none" in refused(filled, capsys, "documents", "list")
    assert "a name has" in refused(filled, capsys, "collections", "remove", "../x")


def test_create_needs_no_weights(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = rag(home, capsys, "collections", "create", "kb", "--fields", "bge")
    assert [f["model"] for f in made["fields"]] == ["bge-small-zh-v1.5", "bge-small-en-v1.5"]
    assert "exists already" in refused(home, capsys, "collections", "create", "kb")
