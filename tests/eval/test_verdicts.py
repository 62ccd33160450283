"""Verdicts in words."""

from __future__ import annotations

from eval.verdicts import judge, pairs


def test_the_verdict_names_the_better_arm_and_the_interval() -> None:
    ids = [str(i) for i in range(40)]
    values = {"rag": dict.fromkeys(ids, 1.0), "lora": {i: float(int(i) % 10 == 0) for i in ids}}
    (v,) = judge(values, {"changed": ids}, seed=0)
    assert v.better == "rag"
    assert v.text.startswith(
        "RAG beats LoRA on facts with an older version: 1.00 vs 0.10, 95 % interval of the difference [0."
    )
    assert "RAG 优于 LoRA" in v.text_zh


def test_the_loser_being_named_first_turns_the_interval_round() -> None:
    ids = [str(i) for i in range(40)]
    values = {"rag": dict.fromkeys(ids, 0.0), "lora": dict.fromkeys(ids, 1.0)}
    (v,) = judge(values, {"all": ids}, seed=0)
    assert v.better == "lora"
    assert "LoRA beats RAG on all questions: 1.00 vs 0.00, 95 % interval of the difference [0.91, 1.00]" in v.text


def test_an_undecided_verdict_says_how_many_questions_would_decide() -> None:
    ids = [str(i) for i in range(10)]
    values = {"rag": {i: float(i in "012345") for i in ids}, "lora": {i: float(i in "34567") for i in ids}}
    (v,) = judge(values, {"all": ids}, seed=0)
    assert v.better == "undecided"
    assert "would need about" in v.text


def test_many_comparisons_make_each_one_stricter() -> None:
    ids = [str(i) for i in range(8)]
    values = {"rag": dict.fromkeys(ids, 1.0), "lora": {i: float(i in "0") for i in ids}}
    (alone,) = judge(values, {"all": ids}, seed=0)
    among = judge(values, {f"k{n}": ids for n in range(20)}, seed=0)
    assert alone.better == "rag"
    assert {v.better for v in among} == {"undecided"}


def test_the_comparison_on_all_questions_is_not_drowned_by_those_on_single_kinds() -> None:
    ids = [str(i) for i in range(8)]
    values = {"rag": dict.fromkeys(ids, 1.0), "lora": {i: float(i in "0") for i in ids}}
    whole, *single = judge(values, {"all": ids} | {f"k{n}": ids for n in range(20)}, seed=0)
    assert whole.better == "rag"
    assert {v.better for v in single} == {"undecided"}
    assert all("number of comparisons" in v.text and "比较较多" in v.text_zh for v in single)


def test_settings_variants_and_special_contexts_are_held_against_rag() -> None:
    assert pairs(["rag", "rag:k=3", "oracle", "base"]) == [("rag", "base"), ("rag", "rag:k=3"), ("rag", "oracle")]
