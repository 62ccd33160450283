"""`rag ingest` as people type it: exit codes, JSON, the difference of a dry run, plain errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.ingest_command import parse_groups
from rag.cli import main
from rag.errors import UsageError


def rag(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    code = main([str(a) for a in args])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_files_that_cannot_be_read_give_exit_3_and_are_listed(
    capsys: pytest.CaptureFixture[str], docs: Path, home: Path
) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 8)
    (docs / "odd\nname.xyz").write_bytes(b"\x01\x02")
    code, out, err = rag(capsys, "ingest", docs, "--json", "--home", home)
    report = json.loads(out)
    assert code == 3 and err == ""
    assert [f["path"] for f in report["failed"]] == ["broken.pdf"] and report["failed"][0]["reason"]
    assert (report["added"], report["updated"], report["removed"], report["chunks"], report["embedded"]) == (
        0,
        0,
        0,
        0,
        0,
    )
    code, out, _ = rag(capsys, "ingest", docs, "--home", home)
    assert code == 3 and "'broken.pdf': " in out and "'odd\\nname.xyz'" in out


def test_a_dry_run_prints_the_difference_and_makes_nothing(
    capsys: pytest.CaptureFixture[str], docs: Path, home: Path
) -> None:
    (docs / "a.md").write_text("One.")
    code, out, _ = rag(capsys, "ingest", docs, "--dry-run", "--home", home)
    assert code == 0 and out.startswith("+ a.md\nwould be added 1,") and not home.exists()
    code, out, _ = rag(capsys, "ingest", docs, "--dry-run", "--json", "--home", home)
    assert json.loads(out)["diff"] == {"added": ["a.md"], "updated": [], "removed": [], "moved": []}


@pytest.mark.parametrize(("what", "words"), [("nowhere", "no such file or folder"), ("docs", "no files in it")])
def test_wrong_paths_are_one_line_and_exit_1(
    capsys: pytest.CaptureFixture[str], docs: Path, home: Path, what: str, words: str
) -> None:
    code, out, err = rag(capsys, "ingest", docs.parent / what, "--home", home)
    assert code == 1 and out == "" and words in err and err.count("\n") == 1


def test_groups_are_read_from_a_list() -> None:
    assert parse_groups("hr, board") == {"hr", "board"} and parse_groups(None) is None
    with pytest.raises(UsageError, match="no group"):
        parse_groups(" , ")
