"""Judged sets in, figures out: values worked out by hand."""

from __future__ import annotations

import gzip
import json
from math import log2
from pathlib import Path

import pytest

from eval.datasets import Query, corpus, queries
from eval.pooling import pooled
from eval.retrieval import Ranked, by_label, comparisons, failures, figures, parse_runs, score
from eval.retrieval_diff import diff
from eval.retrieval_report import report, words, write
from rag.errors import UsageError


def dataset(folder: Path, *, qrels: str = "q1\ta\t2\nq1\tb\t1\nq2\tc\t1\n", packed: bool = False) -> Path:
    folder.mkdir(parents=True)
    rows = "\n".join(json.dumps({"id": i, "title": i.upper(), "text": f"text {i}"}) for i in "abc") + "\n"
    if packed:
        (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    else:
        (folder / "corpus.jsonl").write_text(rows)
    asked = [
        {"id": "q1", "query": "one", "lang": "en"},
        {"id": "q2", "query": "二", "lang": "zh"},
        {"id": "q3", "query": "unjudged"},
    ]
    (folder / "queries.jsonl").write_text("\n".join(json.dumps(a) for a in asked))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels)
    return folder


Q1 = Query("q1", "one", {"a": 2, "b": 1}, {"lang": "en"})
Q2 = Query("q2", "二", {"c": 1}, {"lang": "zh"})


def test_a_folder_is_read_packed_or_not(tmp_path: Path) -> None:
    for packed in (False, True):
        folder = dataset(tmp_path / str(packed), packed=packed)
        assert [p.id for p in corpus(folder)] == ["a", "b", "c"]
        assert queries(folder) == [Q1, Q2]


def test_a_limit_takes_the_first_questions(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", qrels="".join(f"q{i}\ta\t1\n" for i in range(10)))
    (folder / "queries.jsonl").write_text("\n".join(json.dumps({"id": f"q{i}", "query": "x"}) for i in range(10)))
    assert [q.id for q in queries(folder, 5)] == ["q0", "q1", "q2", "q3", "q4"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("qrels.tsv", "q1 a 1\n", "line 1: not `query-id"),
        ("queries.jsonl", "{broken\n", "line 1: not valid JSON"),
        ("queries.jsonl", '{"id": "q1"}\n', "line 1: a question needs"),
        ("qrels.tsv", "other\ta\t1\n", "no question has a relevant document"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(tmp_path: Path, file: str, text: str, message: str) -> None:
    folder = dataset(tmp_path / "d")
    (folder / file).write_text(text)
    with pytest.raises(UsageError, match=message):
        queries(folder)


def test_a_folder_without_a_corpus_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no corpus\.jsonl in it"):
        list(corpus(tmp_path))


def test_metrics_by_hand() -> None:
    found = score([Q1, Q2], {"q1": (("x", "a", "b"), 0.1), "q2": ((), None)})
    # grades at ranks 2 and 3 against the ideal order, linear gain
    ndcg = (2 / log2(3) + 1 / log2(4)) / (2 / log2(2) + 1 / log2(3))
    assert found[0].scores == pytest.approx(
        {"ndcg@10": ndcg, "recall@10": 1, "recall@100": 1, "mrr@10": 0.5, "hit@1": 0}, abs=1e-6
    )
    assert set(found[1].scores.values()) == {0.0}  # nothing found counts, it is not left out


def ranked(*values: float) -> list[Ranked]:
    names = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "hit@1")
    return [Ranked(f"q{i}", ("a",), dict.fromkeys(names, v), 0.01) for i, v in enumerate(values, 1)]


def test_figures_have_intervals_around_their_means() -> None:
    found = figures(ranked(0.0, 1.0, 1.0, 0.0))
    low, high = found["intervals"]["ndcg@10"]
    assert (found["ndcg@10"], found["n"]) == (0.5, 4)
    assert low <= 0.5 <= high
    assert found["seconds"]["p95"] == pytest.approx(0.01)


def test_labels_tell_questions_apart() -> None:
    found = by_label([Q1, Q2], ranked(1.0, 0.0))
    assert {k: v["ndcg@10"] for k, v in found.items()} == {"lang=en": 1.0, "lang=zh": 0.0}


def test_each_run_is_compared_with_the_one_before() -> None:
    (row,) = comparisons({"a": ranked(0.0, 0.0), "b": ranked(1.0, 0.5)})
    assert (row["run"], row["against"], row["difference"], row["n"]) == ("b", "a", 0.75, 2)


def test_failures_name_where_the_relevant_document_stands() -> None:
    runs = {"a": [Ranked("q1", ("x", "a"), {"ndcg@10": 0.5}, None), Ranked("q2", ("c",), {"ndcg@10": 1.0}, None)]}
    (row,) = failures([Q1, Q2], runs)
    assert row["query"] == "q1"
    assert row["first_relevant"] == {"a": 2}


def test_a_pool_keeps_ids_of_sets_apart(tmp_path: Path) -> None:
    folders = [dataset(tmp_path / "one"), dataset(tmp_path / "two")]
    found, names = pooled(folders, 1)
    assert names == ["one", "two"]
    assert [(q.id, dict(q.relevant), q.labels["set"]) for q in found] == [
        ("one::q1", {"one::a": 2, "one::b": 1}, "one"),
        ("two::q1", {"two::a": 2, "two::b": 1}, "two"),
    ]


def test_two_sets_of_one_name_cannot_be_pooled(tmp_path: Path) -> None:
    folders = [dataset(tmp_path / "x" / "one"), dataset(tmp_path / "y" / "one")]
    with pytest.raises(UsageError, match="two data sets are called 'one'"):
        pooled(folders, None)


def test_a_run_named_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="name each run once"):
        parse_runs("bm25,bm25")


def test_a_report_is_written_and_compared(tmp_path: Path) -> None:
    before, after = {"hybrid": ranked(1.0, 0.0)}, {"hybrid": ranked(1.0, 1.0)}
    for name, runs in (("a", before), ("b", after)):
        made = report(runs, [Q1, Q2], settings={"k": 10, "home": "/secret"}, datasets=["d"])
        write(made, runs, [Q1, Q2], tmp_path / name)
        assert "hybrid" in words(made)
    kept = json.loads((tmp_path / "a/report.json").read_text())
    assert kept["runs"]["hybrid"]["ndcg@10"] == 0.5
    assert "home" not in kept["settings"]
    page = (tmp_path / "a/report.html").read_text()
    assert "<svg" in page and "http" not in page.replace("http-equiv", "")
    found = diff(tmp_path / "a", tmp_path / "b", gate=0.02)
    assert found["runs"]["hybrid"]["difference"] == 0.5
    assert found["runs"]["hybrid"]["better"] == ["q2"]
    assert found["ok"]
    assert not diff(tmp_path / "b", tmp_path / "a", gate=0.02)["ok"]


def test_a_folder_without_scores_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"scores\.jsonl: missing"):
        diff(tmp_path, tmp_path)
