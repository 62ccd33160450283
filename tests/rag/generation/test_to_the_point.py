"""Answers without the question around them: what is left out, and what must not be."""

from __future__ import annotations

import pytest

from rag.generation.to_the_point import to_the_point


@pytest.mark.parametrize(
    ("question", "answer", "core"),
    [
        ("When will the Harlow works close?", "The Harlow works will close in October 2031.", "October 2031"),
        ("Who may lower a Red document?", "The Head of Legal may lower a Red document.", "The Head of Legal"),
        ("Which languages were added in Canopy 5?", "Polish and Welsh were added in Canopy 5.", "Polish and Welsh"),
        ("Which court ruled on the treaty?", "The Court of Justice ruled on the treaty.", "The Court of Justice"),
        ("What process was shown in 1901?", "Gas welding was shown in 1901.", "Gas welding"),
        ("What do clerks serve as in local offices?", "Keepers in local offices.", "Keepers"),
        ("Who wrote the plan for Mara Lind?", "Mara Ore wrote the plan for Mara Lind.", "Mara Ore"),
        ("What is the deposit for a tote?", "The deposit for a tote is €12.50.", "€12.50"),
        ("龙烟铁路位于哪里？", "龙烟铁路位于半岛北侧海岸。", "半岛北侧海岸"),
        ("新加坡官方目前采用什么字？", "新加坡官方目前采用简体字。", "简体字"),
        ("哪个部位有一个暗斑点？", "尾鳍基底有一个暗斑点。", "尾鳍基底"),
        ("一个结果要满足什么条件才算精准？", "一个结果要满足准确与精密这两个条件才算精准。", "准确与精密这两个条件"),
    ],
)
def test_what_the_question_says_is_left_out(question: str, answer: str, core: str) -> None:
    assert to_the_point(answer, question) == core


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        # what limits or denies
        ("How many days may be carried over?", "At least 5 days, not more than 9."),
        ("Who gets leave?", "Interns do not get leave, unless they stay."),
        ("Who is the project open to?", "The project is not open."),
        ("Which plan is cheaper, A or B?", "Plan A is cheaper than plan B."),
        ("A还是B更便宜？", "A比B更便宜。"),
        ("Which plan is cheaper?", "The plan is cheaper than that."),
        # whose it is
        ("How many days do employees get?", "Employees of Northpier get 26 days."),
        ("What is the notice period for contracts?", "The notice period for fixed-term contracts is 30 days."),
        # what the new words belong to
        ("What was the period called?", "the mid-Cambrian period"),
        ("How old was the founder?", "39 years old"),
        ("文周王是百济第多少代国王？", "百济第22代国王"),
        # a yes or no, several things, several sentences, nothing else left
        ("Is the works closed in October?", "The works is closed in October 2031."),
        ("What are the date and place of the fair?", "The fair is on 3 May in Harlow."),
        ("When does the works close?", "The works closes in May. It opens in June."),
        ("When does the works close?", "The works does close."),
        # a statement that would lose its end, a long explanation, brackets
        ("When did the bridge of the town open?", "A bridge was built, and opened in the town."),
        (
            "What is DECnet?",
            "DECnet is a suite of network protocols made by one firm in 1975 to connect two small computers of its own.",
        ),
        ("What is DECnet?", "DECnet (a suite is) protocols, (and DECnet."),
        ("", "The works will close."),
    ],
)
def test_what_must_stay_stays(question: str, answer: str) -> None:
    assert to_the_point(answer, question) == answer


def test_a_negation_of_the_question_is_known_and_one_of_the_answer_is_not() -> None:
    assert to_the_point("The project does not benefit the owner.", "The project does not benefit whom?") == "owner"
    assert "not" in to_the_point("The project is not open to interns.", "Who is the project open to?")


def test_a_limit_and_a_sign_are_kept() -> None:
    assert to_the_point("The storage temperature is -20 °C.", "What is the storage temperature?") == "-20 °C"
    assert to_the_point("The drift of the clock is ±0.5%.", "What is the drift of the clock?") == "±0.5%"
    assert to_the_point("42 % of staff are women.", "What percentage of staff are women?") == "42 %"
    assert to_the_point("The service is written in C++.", "What is the service written in?") == "C++"
    assert to_the_point("The deposit is at least 12 euro.", "What is the deposit?") == "at least 12 euro"
    assert to_the_point("The deposit is about 12 euro.", "What is the deposit?") == "about 12 euro"
