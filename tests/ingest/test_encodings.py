"""Encodings that company drives hold are told apart, short texts included."""

from __future__ import annotations

import pytest

from ingest.encodings import decode
from ingest.parsed import Unreadable

SIMPLIFIED = "本合同的违约金为合同总额的百分之十二。"
TRADITIONAL = "員工每年享有帶薪休假十四天，請假須提前三天提出申請。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SIMPLIFIED, "utf-8"),
        (SIMPLIFIED, "gb18030"),
        (SIMPLIFIED, "utf-16"),
        (SIMPLIFIED, "utf-8-sig"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "utf-8"),
        ("The spare key hangs behind the blue clock.", "utf-16-le"),
        ("The spare key hangs behind the blue clock.", "utf-16-be"),
        ("The spare key", "utf-32"),
        ("Die Kündigungsfrist beträgt drei Monate – “schriftlich”.", "cp1252"),
        ("報告書は三月末までに提出してください。よろしくお願いします。", "shift_jis"),
        ("보고서는 삼월 말까지 제출해 주시기 바랍니다.", "euc_kr"),
    ],
)
def test_text_comes_back_as_it_was_written(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "data", [b"\0" * 1000, bytes(range(256)) * 8, b"\x01\x02\x03" * 100], ids=["nul", "all bytes", "control"]
)
def test_binary_data_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="not text"):
        decode(data)


def test_one_bad_byte_in_a_long_utf8_file_is_no_reason_to_guess() -> None:
    data = (SIMPLIFIED * 200).encode()
    assert decode(data[:3001] + b"\xff" + data[3001:]).count("违约金") >= 198


def test_a_declared_encoding_is_believed_where_it_fits() -> None:
    html = '<meta charset="gb2312"><p>公司</p>'.encode("gb2312")
    assert "公司" in decode(html)
