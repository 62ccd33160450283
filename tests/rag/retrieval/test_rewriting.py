"""Follow-ups and questions of several parts."""

from __future__ import annotations

import pytest

from rag.retrieval.rewriting import (
    asks_for_several,
    is_follow_up,
    parts,
    self_contained,
    without_instructions,
)
from rag.types import Message

ALONE = [
    "How many days of annual leave do I get?",
    "Who approves travel to a customer?",
    "What is the notice period during probation?",
    "PX-77 seal",
    "Where are the backups stored?",
    "Is there a limit for hotel costs?",
    "Is it possible to carry leave over to the next year?",
    "What should employees do when they lose their badge?",
    "员工每年有多少天带薪年假？",
    "出差住宿标准是多少？",
    "合同试用期最长可以约定几个月？",
    "水泵的密封圈多久更换一次？",
]
FOLLOW_UPS = [
    "And for contractors?",
    "What about part-time staff?",
    "How long does it take?",
    "Who approves that?",
    "Can they be extended?",
    "Why?",
    "那实习生呢？",
    "它多久更换一次？",
    "还有别的要求吗？",
    "这个需要谁批准？",
    "为什么？",
    "合同工呢？",
]


@pytest.mark.parametrize("question", ALONE)
def test_a_question_that_stands_alone_is_left_alone(question: str) -> None:
    assert not is_follow_up(question)


@pytest.mark.parametrize("question", FOLLOW_UPS)
def test_a_follow_up_is_seen(question: str) -> None:
    assert is_follow_up(question)


def test_a_follow_up_brings_the_questions_back_to_one_that_stood_alone() -> None:
    history = (
        Message("user", "Where is the canteen?"),
        Message("assistant", "In building 2."),
        Message("user", "How many days of annual leave do I get?"),
        Message("assistant", "30 days."),
        Message("user", "And for contractors?"),
        Message("assistant", "None."),
    )
    earlier, question = self_contained("What about part-time staff?", history)
    assert earlier == "How many days of annual leave do I get? And for contractors?"
    assert question == "What about part-time staff?"


def test_without_history_nothing_is_added() -> None:
    assert self_contained("And for contractors?", ()) == ("", "And for contractors?")


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (
            "How many days of leave do I get, and who approves travel?",
            ("How many days of leave do I get", "who approves travel?"),
        ),
        ("What is the number of the driver, and its price?", ("What is the number of the driver", "its price?")),
        ("年假有几天？出差谁批准？", ("年假有几天？", "出差谁批准？")),
        ("What is the limit for hotels and meals?", ("What is the limit for hotels and meals?",)),
        ("年假有多少天，以及如何申请？", ("年假有多少天", "如何申请？")),
        ("Research and development costs in 2024", ("Research and development costs in 2024",)),
    ],
)
def test_parts(question: str, found: tuple[str, ...]) -> None:
    assert parts(question) == found


@pytest.mark.parametrize(
    "question",
    [
        "2021年香港和澳门的增长率",
        "发布时间及处理器是什么？",
        "年假与病假分别有几天？",
        "他访问了哪些城市",
        "芯片是什么，起售价多少",
        "What does the kit cost, and who orders it?",
        "What is the date and place of the launch?",
        "How many gold medals did China and Norway win?",
        "What were the sales in 2021 and 2022?",
        "What are the steps of an expense claim?",
    ],
)
def test_several_things_are_asked_for(question: str) -> None:
    assert asks_for_several(question)


@pytest.mark.parametrize(
    "question",
    [
        "和平路的仓库在哪里？",
        "谁参与了评审？",
        "员工要及时提交什么？",
        "How wide may the gap become?",
        "Who wrote the terms and conditions?",
        "How many weeks of leave can a parent take?",
    ],
)
def test_one_thing_is_asked_for(question: str) -> None:
    assert not asks_for_several(question)


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("Is there a bonus? If there is none, then say so and explain why.", "Is there a bonus?"),
        ("Is the 0.5 L bottle in stock? Please answer in German.", "Is the 0.5 L bottle in stock?"),
        ("年假几天？如果没有规定，请说明。", "年假几天？"),
        ("报销限额是多少？请用一句话回答。", "报销限额是多少？"),
    ],
)
def test_how_to_answer_is_not_searched(question: str, kept: str) -> None:
    assert without_instructions(question) == kept
    assert parts(question) == (question,) and not asks_for_several(question)


@pytest.mark.parametrize(
    "question",
    [
        "If the pump fails, what do I say?",
        "How many days? And if I leave, who answers for them?",
        "What is the limit? Give the legal basis.",
        "如何答复投诉？请问谁负责回答？",
        "Explain the travel policy.",
        "I am a contractor. Please answer how long probation is.",
        "我是新员工。请说明报销流程。",
        "报销限额是多少？请说明报销流程。",
        "",
    ],
)
def test_what_is_asked_stays(question: str) -> None:
    assert without_instructions(question) == question
