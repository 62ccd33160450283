"""Clean text scores high, garbage low, in both languages."""

from __future__ import annotations

import pytest

from ingest.quality import RED, measure

ENGLISH = "The seal of the pump is replaced every nine hundred hours, and the belt of the fan is checked weekly by the operator on duty."
CHINESE = "公司员工每年享有带薪年休假十四天，请假须提前三天提出申请并经部门负责人批准后方可休假。"


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH, CHINESE, "", "2024 2023 2022\n16,388 14,573 11,626",
        "Der Vertrag kann mit einer Frist von drei Monaten zum Ende des Kalenderjahres gekündigt werden.",
        "員工每年享有帶薪休假十四天，請假須提前三天提出申請，並經部門主管核准後方可休假。",
        "NASDAQ XBRL EBITDA GAAP HTTP JSON API SDK",
    ],
)  # fmt: skip
def test_readable_text_is_not_red(text: str) -> None:
    assert measure(text).score > 0.7


@pytest.mark.parametrize(
    "text",
    [
        "".join(chr((ord(c) - 97 + 3) % 26 + 97) if c.islower() else c for c in ENGLISH),
        CHINESE.encode().decode("gb18030", errors="replace"),
        CHINESE.encode().decode("latin-1"),
        CHINESE.encode("gb18030").decode("big5", errors="replace"),
        " ".join(f"(cid:{n})" for n in range(40)),
        "The \ufffd\ufffd\ufffd of \ufffd\ufffd\ufffd\ufffd is \ufffd\ufffd\ufffd",
        "\ue001\ue002\ue003 \ue004\ue005 text \ue006\ue007\ue008\ue009",
    ],
    ids=["shifted alphabet", "utf-8 as gbk", "utf-8 as latin", "gbk as big5", "cid", "replacement", "private use"],
)
def test_garbage_is_red(text: str) -> None:
    assert measure(text).score < RED


def test_lost_characters_are_counted() -> None:
    assert measure("a (cid:3)(cid:14) b \ufffd c").characters_lost == 3
