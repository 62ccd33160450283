"""Answers to report, files and differences."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from eval.answers_diff import diff, words
from eval.answers_html import html
from eval.answers_report import report, timeless
from eval.answers_run import Wanted, write
from eval.answers_tables import markdown, table_csv
from eval.given import Given
from eval.golden import GoldenQuestion
from eval.kinds import by_kind, kinds_of
from rag.errors import UsageError

QUESTIONS = [
    *(GoldenQuestion(f"f{i}", f"Question <{i}>?", (str(i),), documents=("a.md",)) for i in range(12)),
    GoldenQuestion("u0", "谁是国王？", lang="zh", kind="unanswerable"),
]


def _given(arm: str, right: int, seconds: float) -> dict[str, Given]:
    """The first `right` questions answered rightly, the others wrongly."""
    found = {}
    for n, q in enumerate(QUESTIONS):
        ok = n < right
        text = (q.answers[0] if q.answerable else "") if ok else "wrong <b>"
        status = "abstained" if ok and not q.answerable else "answered"
        offered = ("a.md",) if arm == "rag" else ()
        found[q.id] = Given(arm, q.id, text, status, cited=offered, offered=offered, total=seconds + n / 100)  # type: ignore[arg-type]
    return found


def _report(rag: int = 13, lora: int = 2, seconds: float = 2.0) -> dict:  # type: ignore[type-arg]
    given = {"rag": _given("rag", rag, seconds), "lora": _given("lora", lora, 0.1)}
    tags = {q.id: kinds_of(q, {"a.md": "1"}, {"a.md": "2"}) for q in QUESTIONS}
    attributed = {"f11": "dense"} if rag < 12 else {}
    return report(
        QUESTIONS, given, tags, 1, attributed=attributed, about={"notes": ["n"], "command": "rag eval answers"}
    )


def test_metrics_have_a_mean_inside_their_interval_and_count_every_question() -> None:
    found = _report()
    for of in found["arms"].values():
        f1 = of["metrics"]["f1"]
        assert f1["low"] <= f1["mean"] <= f1["high"]
        assert f1["n"] == 13
    assert found["arms"]["rag"]["metrics"]["correct"]["mean"] == 1.0
    assert found["arms"]["rag"]["metrics"]["refusal_recall"]["mean"] == 1.0
    assert "citation_precision" not in found["arms"]["lora"]["metrics"]


def test_kinds_follow_the_question_and_the_training() -> None:
    assert kinds_of(QUESTIONS[0], {"a.md": "1"}, {"a.md": "2"}) == (
        "all",
        "fact",
        "en",
        "changed after training",
    )
    assert kinds_of(QUESTIONS[0], {"a.md": "1"}, {"a.md": "1"})[-1] == "in-training fact"
    assert kinds_of(QUESTIONS[0], {"b.md": "1"}, {}) == ("all", "fact", "en", "held-out fact")
    assert kinds_of(QUESTIONS[-1], {"b.md": "1"}, {}) == ("all", "unanswerable", "zh")
    assert list(by_kind({"1": ("zh", "all"), "2": ("all", "odd")})) == ["all", "zh", "odd"]


def test_verdicts_say_it_in_words_per_kind() -> None:
    found = {v["kind"]: v for v in _report()["verdicts"]}
    assert found["all"]["better"] == "rag"
    assert found["all"]["text"].startswith("RAG beats LoRA on all questions: 1.00 vs 0.15")
    assert {"changed after training", "fact", "en"} <= set(found)


def test_times_do_not_touch_the_figures() -> None:
    assert timeless(_report(seconds=2.0)) == timeless(_report(seconds=9.0))


def test_the_page_is_whole_and_asks_for_nothing_from_outside() -> None:
    page = html(_report(rag=11))

    stack: list[str] = []

    class Balanced(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "input", "br", "line", "rect", "path", "circle", "polyline"):
                stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in ("meta", "input", "br", "line", "rect", "path", "circle", "polyline"):
                assert stack.pop() == tag

    parser = Balanced()
    parser.feed(page)
    assert stack == []
    assert page.count("<svg") == 4
    assert "Question &lt;11&gt;?" in page
    assert "<b>wrong" not in page
    assert not re.findall(r"https?://|<script", page)
    assert "结论" in page


def test_the_tables_hold_the_same_figures() -> None:
    found = _report()
    rows = list(csv.DictReader(io.StringIO(table_csv(found))))
    mean = next(r["mean"] for r in rows if (r["arm"], r["kind"], r["metric"]) == ("lora", "all", "correct"))
    assert float(mean) == found["arms"]["lora"]["metrics"]["correct"]["mean"]
    assert "| correct | 1.00 [0.77, 1.00] | 0.15" in markdown(found)


def _run(folder: Path, rag: int) -> Path:
    folder.mkdir()
    write(_report(rag=rag), folder)
    given = [*_given("rag", rag, 1.0).values(), *_given("lora", 2, 1.0).values()]
    (folder / "answers.jsonl").write_text("\n".join(json.dumps(g.record()) for g in given), encoding="utf-8")
    return folder


def test_a_difference_names_the_questions_that_turned(tmp_path: Path) -> None:
    found = diff(_run(tmp_path / "a", 13), _run(tmp_path / "b", 11), gate=0.1)
    assert found["arms"]["rag"]["worse"] == ["f11", "u0"]
    assert found["arms"]["rag"]["difference"] == pytest.approx(-2 / 13)
    assert (found["ok"], found["failed"]) == (False, ["rag"])
    assert "2 worse" in words(found)


def test_the_gate_holds_for_an_equal_run(tmp_path: Path) -> None:
    assert diff(_run(tmp_path / "a", 12), _run(tmp_path / "b", 12), gate=0.0)["ok"]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished"):
        diff(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("arms", "message"),
    [(("rga",), "unknown"), (("rag", "rag"), "twice"), (("lora",), "--lora"), (("rag:k",), "unknown")],
)
def test_arms_that_cannot_run_are_refused_before_anything_starts(arms: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Wanted(Path("q"), arms, Path("out"))
