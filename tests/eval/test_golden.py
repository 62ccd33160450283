"""Golden questions from their several file forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.golden import GoldenQuestion, fingerprint, read_questions, sample
from rag.errors import UsageError

CORPUS = Path(__file__).parent.parent.parent / "corpus" / "golden"


def test_the_golden_folder_of_the_sample_company_is_read() -> None:
    questions = read_questions(CORPUS)
    assert len(questions) >= 150
    assert {"fact", "number", "multi-document", "cross-lingual", "changed", "unanswerable"} <= {
        q.kind for q in questions
    }
    assert all(q.answerable == (q.kind != "unanswerable") for q in questions)


def test_an_instruction_record_is_a_question(tmp_path: Path) -> None:
    file = tmp_path / "test.json"
    file.write_text(json.dumps([{"instruction": "多少天？", "input": "", "output": "23天"}]), encoding="utf-8")
    (q,) = read_questions(file)
    assert (q.question, q.answers, q.lang, q.id) == ("多少天？", ("23天",), "zh", "test-1")


def test_a_beir_folder_takes_its_gold_from_qrels(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"id": "p1", "text": "x"}\n', encoding="utf-8")
    (tmp_path / "queries.jsonl").write_text(
        '{"id": "q1", "query": "What?", "answers": ["x"], "lang": "en"}\n', encoding="utf-8"
    )
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tp1\t1\nq1\tp2\t0\n", encoding="utf-8")
    (q,) = read_questions(tmp_path)
    assert q.documents == ("p1",)


def test_parts_are_facts_that_are_all_needed(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps({"id": "1", "question": "Which?", "answers": ["31"], "answers_all": [["card"], ["31"]]}))
    (q,) = read_questions(file)
    assert q.facts == (("card",), ("31",))
    assert q.reference == ("card 31", "31")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "no questions"), ("{]", "not valid JSON"), ('{"id": 1}', "no question"), ("[3]", "not an object")],
)
def test_what_is_no_question_file_is_refused_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=reason):
        read_questions(file)


def test_the_same_id_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text('{"id": "a", "question": "1?"}\n{"id": "a", "question": "2?"}\n')
    with pytest.raises(UsageError, match="twice"):
        read_questions(file)


def test_a_sample_is_spread_over_kinds_and_the_same_for_the_same_seed() -> None:
    questions = [GoldenQuestion(f"{kind}{i}", "?", kind=kind) for kind in ("a", "b", "c") for i in range(9)]
    chosen = sample(questions, 6, 1)
    assert sorted(q.kind for q in chosen) == ["a", "a", "b", "b", "c", "c"]
    assert chosen == sample(list(reversed(questions)), 6, 1)
    assert {q.id for q in chosen} != {q.id for q in sample(questions, 6, 2)}


def test_the_fingerprint_knows_an_edited_answer_and_not_the_order() -> None:
    a, b = GoldenQuestion("1", "x", ("y",)), GoldenQuestion("2", "x", ("y",))
    assert fingerprint([a, b]) == fingerprint([b, a])
    assert fingerprint([a]) != fingerprint([GoldenQuestion("1", "x", ("z",))])
