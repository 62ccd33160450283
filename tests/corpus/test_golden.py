"""The sample company's files and golden questions hold together: every answer can be looked up where it says."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pathspec
import pytest

from tests.corpus.corpus_texts import squeezed, text_of

CORPUS = Path(__file__).parents[2] / "corpus"
KINDS = ("fact", "number", "multi-document", "cross-lingual", "changed", "unanswerable")

Question = dict[str, Any]


@cache
def documents() -> tuple[str, ...]:
    """Paths of the files that `rag ingest corpus` reads, by the corpus' own ignore file."""
    ignored = pathspec.GitIgnoreSpec.from_lines((CORPUS / ".ragignore").read_text(encoding="utf-8").splitlines())
    paths = (path.relative_to(CORPUS).as_posix() for path in CORPUS.rglob("*") if path.is_file())
    return tuple(sorted(path for path in paths if not ignored.match_file(path) and not Path(path).name.startswith(".")))


@cache
def words(document: str) -> str:
    return squeezed(text_of(CORPUS / document))


@cache
def questions() -> tuple[Question, ...]:
    files = sorted((CORPUS / "golden").glob("*.jsonl"))
    return tuple(json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines())


def answerable() -> list[Question]:
    return [question for question in questions() if question["kind"] != "unanswerable"]


def is_chinese(text: str) -> bool:
    """More Chinese characters than Latin words."""
    return len(re.findall(r"[\u4e00-\u9fff]", text)) > len(re.findall(r"[A-Za-z]+", text))


def test_there_are_at_least_forty_documents_and_they_are_small() -> None:
    assert len(documents()) >= 40
    assert sum((CORPUS / path).stat().st_size for path in documents()) < 2_000_000


@pytest.mark.parametrize(
    ("suffix", "least"),
    [
        (".md", 10),
        (".pdf", 4),
        (".docx", 4),
        (".html", 4),
        (".txt", 3),
        (".xlsx", 1),
        (".csv", 1),
        (".pptx", 1),
        (".eml", 2),
    ],
)
def test_every_format_is_there(suffix: str, least: int) -> None:
    assert sum(path.endswith(suffix) for path in documents()) >= least


def test_about_half_of_the_documents_are_chinese() -> None:
    chinese = sum(is_chinese(text_of(CORPUS / path)) for path in documents())
    assert 0.4 <= chinese / len(documents()) <= 0.6


@pytest.mark.parametrize("document", documents())
def test_a_document_has_a_realistic_length(document: str) -> None:
    assert len(words(document)) >= 600


def test_one_text_file_is_in_the_old_chinese_encoding() -> None:
    data = (CORPUS / "制度/考勤与加班.txt").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        data.decode("utf-8")
    assert "考勤" in data.decode("gb18030")


@pytest.mark.parametrize("document", [path for path in documents() if not path.endswith(".csv")])
def test_files_named_in_a_document_exist(document: str) -> None:
    folders = "|".join({path.split("/")[0] for path in documents()})
    text = re.sub(r"[\r\n]+", "", text_of(CORPUS / document))
    named = re.findall(rf"(?:{folders})/[\w-]+\.(?:md|html|txt|pdf|docx|xlsx|pptx|csv|eml)(?![a-z])", text)
    assert not [name for name in named if not (CORPUS / name).exists()]


def test_documents_refer_to_each_other() -> None:
    referring = [path for path in documents() if any(other in words(path) for other in documents())]
    assert len(referring) >= 25


def test_ids_and_questions_are_unique() -> None:
    assert max(Counter(question["id"] for question in questions()).values()) == 1
    assert max(Counter(question["question"] for question in questions()).values()) == 1


def test_there_are_enough_questions_of_each_kind_in_both_languages() -> None:
    kinds = Counter(question["kind"] for question in questions())
    assert len(questions()) >= 170
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 18
    assert kinds["unanswerable"] >= 28
    pairs = Counter((question["kind"], question["lang"]) for question in questions())
    assert all(pairs[kind, lang] >= 8 for kind in KINDS for lang in ("zh", "en"))


@pytest.mark.parametrize("question", questions(), ids=lambda question: question["id"])
def test_a_question_is_in_the_language_it_names(question: Question) -> None:
    assert is_chinese(question["question"]) == (question["lang"] == "zh")


@pytest.mark.parametrize("question", answerable(), ids=lambda question: question["id"])
def test_every_quote_stands_in_its_document(question: Question) -> None:
    for span in question["spans"]:
        assert span["document"] in documents()
        assert squeezed(span["quote"]) in words(span["document"]), span
    assert set(question["documents"]) == {span["document"] for span in question["spans"]}


@pytest.mark.parametrize("question", answerable(), ids=lambda question: question["id"])
def test_an_answer_stands_in_a_quote(question: Question) -> None:
    quotes = [squeezed(span["quote"]).lower() for span in question["spans"]]
    for variants in [question["answers"], *question.get("answers_all", [])]:
        assert any(squeezed(variant).lower() in quote for variant in variants for quote in quotes), variants


def test_unanswerable_questions_have_neither_answers_nor_documents() -> None:
    for question in questions():
        empty = not question["answers"] and not question["documents"] and not question["spans"]
        assert empty == (question["kind"] == "unanswerable"), question["id"]


def test_multi_document_questions_need_two_documents() -> None:
    assert all(len(question["documents"]) >= 2 for question in questions() if question["kind"] == "multi-document")


@pytest.mark.parametrize("question", [q for q in questions() if q["kind"] == "cross-lingual"], ids=lambda q: q["id"])
def test_a_cross_lingual_question_is_not_in_its_documents_language(question: Question) -> None:
    for document in question["documents"]:
        assert is_chinese(text_of(CORPUS / document)) != (question["lang"] == "zh")


@pytest.mark.parametrize("question", [q for q in questions() if q["kind"] == "changed"], ids=lambda q: q["id"])
def test_a_changed_fact_has_an_outdated_answer_in_the_corpus(question: Question) -> None:
    outdated = question["outdated"]
    assert not set(outdated) & set(question["answers"])
    assert any(squeezed(answer) in words(document) for answer in outdated for document in documents())
