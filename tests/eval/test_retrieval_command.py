"""`rag eval retrieval` from end to end, with the real embedders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.cli import main

pytestmark = pytest.mark.slow

TEXTS = {
    "leave": "Every employee has thirty days of paid annual leave.",
    "travel": "Hotels are paid up to 140 euros a night; the team lead approves the trip.",
    "backup": "Backups run every night and are kept for ninety days.",
    "badge": "A lost badge is reported to the front desk at once.",
    "年假": "员工每年享有三十天带薪年假。",
}
ASKED = [
    ("q1", "How long is paid vacation?", "leave"),
    ("q2", "丢了工牌怎么办？", "badge"),
    ("q3", "年假有几天？", "年假"),
]


def dataset(folder: Path) -> Path:
    folder.mkdir()
    rows = [json.dumps({"id": i, "title": "", "text": t}, ensure_ascii=False) for i, t in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(rows), encoding="utf-8")
    asked = [json.dumps({"id": i, "query": q}, ensure_ascii=False) for i, q, _ in ASKED]
    (folder / "queries.jsonl").write_text("\n".join(asked), encoding="utf-8")
    (folder / "qrels.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join(f"{i}\t{d}\t1\n" for i, _, d in ASKED), encoding="utf-8"
    )
    return folder


def test_a_judged_set_becomes_a_report(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = dataset(tmp_path / "set")

    def run(*flags: str) -> dict[str, object]:
        out = tmp_path / "report"
        code = main(
            ["eval", "retrieval", "--dataset", str(folder), "--out", str(out), "--home", str(home), "--json", *flags]
        )
        assert code == 0
        assert (out / "report.html").is_file()
        found: dict[str, object] = json.loads((out / "report.json").read_text(encoding="utf-8"))
        assert json.loads(capsys.readouterr().out) == found
        return found

    runs = run("--runs", "bm25,dense,hybrid,rerank,e5,bm25+e5,rrf")["runs"]
    assert isinstance(runs, dict)
    assert list(runs) == ["bm25", "dense", "hybrid", "rerank", "e5", "bm25+e5", "rrf"]
    assert runs["rerank"]["ndcg@10"] >= 0.8  # one of the three asks across languages
    assert runs["rerank"]["n"] == 3

    # the second run finds the corpus indexed
    assert run("--runs", "hybrid", "--limit", "2")["questions"] == 2


def test_an_unknown_run_is_refused(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = dataset(tmp_path / "set")
    flags = ["--dataset", str(folder), "--runs", "bm26", "--out", str(tmp_path / "o"), "--home", str(home)]
    assert main(["eval", "retrieval", *flags]) == 2
    assert "'bm26' is no run" in capsys.readouterr().err
