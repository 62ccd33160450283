"""RGB's cases and measures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from eval.robustness import Case, correct, documents_at, read_cases
from eval.robustness_arms import Probe, Said
from eval.robustness_run import Wanted, _ask, _probes, _report
from rag.errors import UsageError


def _folder(tmp_path: Path) -> Path:
    refine = {"id": 0, "query": "Who won?", "answer": [["Ann", "Anne"]], "positive": ["Ann won.", "It was Ann."],
              "negative": ["n1", "n2", "n3", "n4", "n5"]}  # fmt: skip
    parts = {
        "id": 0,
        "query": "谁和何时？",
        "answer": [["张三"], ["五月", "5月"]],
        "positive": [["张三赢了"], ["在五月", "五月举行"]],
        "negative": ["无"],
    }
    false = {"id": 0, "query": "Who won?", "answer": "Ann", "fakeanswer": "Bob", "positive": ["Ann won."],
             "positive_wrong": ["Bob won."], "negative": []}  # fmt: skip
    for name, row in (("en_refine", refine), ("zh_int", parts), ("en_fact", false)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    return tmp_path


def test_cases_say_which_facts_are_needed(tmp_path: Path) -> None:
    cases = {c.part: c for c in read_cases(_folder(tmp_path))}
    assert cases["refine"].facts == (("Ann", "Anne"),)
    assert cases["int"].facts == (("张三",), ("五月", "5月"))
    assert cases["fact"].false_answer == "Bob"
    assert cases["int"].positive[:2] == ("张三赢了", "在五月")


def test_every_part_must_be_said(tmp_path: Path) -> None:
    case = next(c for c in read_cases(_folder(tmp_path)) if c.part == "int")
    assert correct(case, "张三，5月")
    assert not correct(case, "张三")


@pytest.mark.parametrize(("noise", "good"), [(0.0, 2), (0.6, 2), (0.8, 1), (1.0, 0)])
def test_noise_is_the_share_without_the_answer(tmp_path: Path, noise: float, good: int) -> None:
    case = next(c for c in read_cases(_folder(tmp_path)) if c.part == "refine")
    documents = documents_at(case, noise, 5, seed=1)
    assert len(documents) == 5
    assert sum("Ann" in d for d in documents) == good
    assert documents == documents_at(case, noise, 5, seed=1)


def test_every_part_has_its_conditions(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    probes = _probes(read_cases(folder), Wanted(folder, (0.0, 0.8), 5, None, 0, tmp_path / "out"))
    assert [p.measure for p in probes] == [
        "false documents, en", "accuracy at noise 0, en", "accuracy at noise 0.8, en", "refused without an answer, en",
        "integration at noise 0, zh",
    ]  # fmt: skip


def test_noise_and_refusal_fall_back_on_the_true_documents_of_false_ones(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "en_refine.jsonl").unlink()
    probes = _probes(read_cases(folder), Wanted(folder, (0.6,), 5, None, 0, tmp_path / "out"))
    assert [p.measure for p in probes if p.case.lang == "en"] == [
        "accuracy at noise 0.6, en", "refused without an answer, en", "false documents, en",
    ]  # fmt: skip


def test_answers_asked_side_by_side_are_all_kept(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    wanted = Wanted(folder, (0.6,), 5, None, 0, tmp_path, parallel=4)
    probes = _probes(read_cases(folder), wanted)
    said = _ask(probes, {"rag": lambda p: Said(p.key, False, 0.5), "plain": lambda p: Said("", True)}, wanted, "toy")
    assert {k: v["text"] for k, v in said.items() if k[0] == "rag"} == {("rag", p.key): p.key for p in probes}
    assert len((tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()) == 2 * len(probes)
    again = _ask(probes, {}, wanted, "toy")
    assert again == said


def test_refusals_are_counted_at_the_shipped_threshold_and_at_one_of_the_other_half(tmp_path: Path) -> None:
    """Forty questions, every tenth answered without being sure of it, and without an answer never more than half sure."""
    cases = [Case(f"en-fact-{n:02}", "fact", "en", "Who won?", (("Ann",),), ("Ann won.",), ()) for n in range(40)]
    wanted = Wanted(tmp_path, (0.6,), 5, None, 0, tmp_path)
    accuracy, refused = "accuracy at noise 0.6, en", "refused without an answer, en"
    probes = [Probe(f"{c.id}|{m}", m, c, ()) for c in cases for m in (accuracy, refused)]
    sure = {accuracy: [0.1] + [0.9] * 9, refused: [0.5] * 9 + [0.2]}
    said = {
        (arm, p.key): asdict(Said("Ann [1]", False, sure[p.measure][i // 2 // 2 % 10] if arm == "rag" else None))
        for i, p in enumerate(probes)
        for arm in ("rag", "plain")
    }
    runs = _report(probes, said, wanted, "toy")["runs"]
    assert {m: f["mean"] for m, f in runs["rag"].items()} == {
        accuracy: 0.9, "wrongly refused at noise 0.6, en": 0.1, refused: 0.1,
    }  # fmt: skip
    assert {m: f["mean"] for m, f in runs["rag, fitted threshold"].items()} == {
        accuracy: 0.9, "wrongly refused at noise 0.6, en": 0.1, refused: 1.0,
    }  # fmt: skip
    assert runs["plain"][refused]["mean"] == 0.0


def test_a_folder_without_rgb_and_odd_rates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no RGB files"):
        read_cases(tmp_path)
    with pytest.raises(UsageError, match="between 0 and 1"):
        Wanted(tmp_path, (1.5,), 5, None, 0, tmp_path)
