from __future__ import annotations

import pytest

from rag.generation.quoting import as_listed, best_quote, gives_what_is_asked, says_nothing_new, wanted_kind, with_unit

from .sample import HITS, ask, hit


def test_the_sentence_that_speaks_of_the_question_is_quoted() -> None:
    quote = best_quote("When do unused days expire?", HITS)
    assert quote is not None and quote.text == "Unused days expire on 31 March." and quote.fits and quote.n == 1


def test_a_sentence_without_the_kind_of_fact_that_is_asked_for_does_not_fit() -> None:
    quote = best_quote("How many interns are entitled to annual leave?", HITS[:1])
    assert quote is None or not (quote.fits and quote.text.startswith("Interns"))


def test_a_name_that_no_source_has_does_not_fit() -> None:
    quote = best_quote("What is the hotel limit in Bergen?", HITS)
    assert quote is not None and not quote.fits


def test_a_sentence_whose_beginning_is_cut_off_does_not_tell_who() -> None:
    cut = hit(
        1,
        "Nov 6 ... has got the role of the auditor beside Karl Berg. In November Jonas Lind was named as auditor.",
        "News",
    )
    quote = best_quote("Who has got the role of the auditor?", [cut])
    assert quote is not None and quote.text.startswith("In November")


def test_of_a_source_that_answers_the_fact_asked_for_is_quoted_before_words_of_the_question() -> None:
    card = hit(
        1,
        "Release date. October 27, 2017 ; No. of players. Single ; Publisher. Nordby ; Nordby rating. Everyone.",
        "Cards",
    )
    question = "What is the release date of Harbour Tales by Nordby?"
    assert (told := best_quote(question, [card], only=1)) is not None and told.text.startswith("October 27, 2017")
    assert (near := best_quote(question, [card])) is not None and "Nordby" in near.text


def test_an_answer_that_repeats_the_question_says_nothing() -> None:
    assert says_nothing_new("The hotel has a limit in Oslo [1].", "What is the limit of the hotel in Oslo?")
    assert not says_nothing_new("The limit is 2,150 kroner [1].", "What is the limit of the hotel in Oslo?")
    assert not says_nothing_new("Yes [1].", "Is there a hotel limit in Oslo?")
    assert says_nothing_new("Norway [1].", "Which hotels are there in Norway?")


def test_a_refusal_of_the_model_is_not_overruled_by_a_quote() -> None:
    assert ask("What is the hotel limit in Oslo a night?", "NOT FOUND").status == "abstained"


def test_a_refusal_about_a_stranger_stands() -> None:
    assert ask("What is the hotel limit in Bergen?", "NOT FOUND").status == "abstained"
    assert ask("公司在火星有多少名员工？", "未找到").status == "abstained"


def test_a_one_word_answer_can_be_the_name_that_was_asked_for() -> None:
    assert gives_what_is_asked("Tallinn [1]", "Which city was chosen for the new warehouse?")
    assert not gives_what_is_asked("the new warehouse", "Which city was chosen for the new warehouse?")
    assert not gives_what_is_asked("some days", "How many days of leave are there?")


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When was the depot opened?", "date"),
        ("And the new office opens when?", "date"),
        ("Since when do we pay by card?", "date"),
        ("What is the release date of the new terminal?", "date"),
        ("What's the due date of an invoice?", "date"),
        ("What is the date format of an invoice?", ""),
        ("What is paid on the dates of a strike?", ""),
        ("Who led the project when it began?", "name"),
        ("What is paid when a baby is born?", ""),
        ("When a parcel is lost, what is a customer paid?", ""),
        ("What did the man who founded the company study?", ""),
        ("What is the last name of the man who founded the company?", "name"),
        ("Where do visitors park when it rains?", "name"),
        ("How many people work where the servers stand?", "quantity"),
        ("下雨时访客在哪里停车？", "name"),
    ],
)
def test_the_first_question_word_tells_what_is_asked_for(question: str, kind: str) -> None:
    assert wanted_kind(question) == kind


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        ("10", "10 年"),
        ("46", "46 万元"),
        ("23.4", "23.4"),
        ("20", "20 个工作日"),
        ("8110", "8110"),
        ("10 年", "10 年"),
        ("1", "1"),
    ],
)
def test_a_number_gets_the_unit_that_it_has_in_the_source(said: str, whole: str) -> None:
    text = "合同档案保存 10 年。最低报价46 万元，编号 23.4，总机8110。出差回来后 20 个工作日内交单。其中 1，2 项除外。"
    assert with_unit(said, [hit(1, text, "制度")], "合同档案要保存多少年？") == whole


@pytest.mark.parametrize(
    ("said", "source", "as_written"),
    [
        ("4", "球体包含了 4种 元素。", "4种"),
        ("4次", "他完成了四次拦截，其中两次得分。", "四次"),
        ("4", "四川有四种茶，第四种最贵。", "四种"),
        ("2", "公司有两个仓库。", "两个"),
        ("12", "值班表上共十二名员工。", "十二名员工"),
        ("7", "第七章说的是四件事。", "7"),
        ("3 小时", "行程要三小时。", "三小时"),
        ("4", "There are four gates.", "four"),
        ("4 天", "Leave of four days.", "4 天"),
        ("$20", "A locker costs $20 a year.", "$20"),
        ("-5", "The store is kept at -5 degrees.", "-5"),
    ],
)
def test_a_figure_is_written_as_the_source_has_it(said: str, source: str, as_written: str) -> None:
    assert with_unit(said, [hit(1, source, "x")], "多少？" if "。" in source else "How many?") == as_written


@pytest.mark.parametrize(
    ("said", "whole"),
    [("8", "8 hours"), ("0.5", "0.5%"), ("1.5", "1.5 million euro"), ("12", "12"), ("two", "two"), ("38", "38")],
)
def test_english_units_too(said: str, whole: str) -> None:
    text = "It lasts 8 hours. The penalty is 0.5% a day. The site cost 1.5 million euro. 12 forklifts stand there. Order 38, please."
    assert with_unit(said, [hit(1, text, "Facts")], "How much is it?") == whole


def test_the_unit_is_that_of_the_sentence_which_is_asked_about() -> None:
    text = "Pumps are oiled every 10 days. Contracts are kept for 10 years."
    assert with_unit("10", [hit(1, text, "Facts")], "How long are contracts kept?") == "10 years"


@pytest.mark.parametrize(
    ("said", "text", "whole"),
    [
        ("4", "He made four saves. The other made 14.", "four"),
        ("4", "He made four saves in 4 days.", "4 days"),  # figures before words
        ("12", "Twelve months of notice are needed.", "Twelve months"),
        ("5", "He made twenty-five saves.", "5"),
        ("4", "He made saves.", "4"),
        ("3.5", "It has three parts.", "3.5"),
    ],
)
def test_a_number_is_given_as_the_source_writes_it(said: str, text: str, whole: str) -> None:
    assert with_unit(said, [hit(1, text, "Facts")], "How many were there?") == whole


@pytest.mark.parametrize(
    ("said", "text", "listed"),
    [
        ("China, Japan, Korea", "Works from China, Japan and Korea.", "China, Japan and Korea"),
        ("Oak; ash", "The oak and the ash are planted.", "oak and the ash"),
        ("会议中心、酒店、影院", "有会议中心、酒店以及影院。", "会议中心、酒店以及影院"),
        ("Japan, China", "Works from China and Japan.", "Japan, China"),  # no source has it in this order
        ("China, Japan", "Works from China, Japan, and others.", "China, Japan"),  # a source has it as it is
        ("China", "Works from China and Japan.", "China"),
        ("1,345", "There are 1 and 345.", "1,345"),
    ],
)
def test_a_list_is_given_as_a_source_has_it(said: str, text: str, listed: str) -> None:
    assert as_listed(said, [hit(1, text, "Facts")]) == listed
