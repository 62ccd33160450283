"""Scanned pages, Chinese and English: 97 % of the characters or better, by the same way that files go."""

from __future__ import annotations

from difflib import SequenceMatcher
from pathlib import Path

import pytest

from ingest.ocr import Line, ReadLines, _mended
from ingest.parsed import Unread
from ingest.sandbox import Budget, Sandbox
from tests.ingest.samples import picture_bytes, read, read_one, scan

ENGLISH = """The maintenance contract for the northern pumping station runs until 30 September 2027.
Each pump is inspected every 900 hours and the shaft seal is replaced at the second
inspection. Spare parts are ordered from the central store in Uppsala; the order number
begins with PX-77 and the delivery time is nine working days. If a pump stops outside
working hours, call +46 18 555 0142 and name the station, the pump and the fault code."""
CHINESE = """第一条 为了规范公司的差旅费用报销，根据国家有关规定，结合公司实际情况，制定本办法。
第二条 员工出差应当事先填写出差申请单，经部门负责人批准后方可出行。
第三条 出差到成都的住宿标准为每晚480元，超过部分由员工自行承担。
第四条 单笔超过5,000元的报销由财务总监审批，审批时间不超过三个工作日。"""


def characters_read(true: str, found: str) -> float:
    """Share of the characters, spaces left out, that are found in order."""
    a, b = "".join(true.split()), "".join(found.split())
    return sum(m.size for m in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()) / len(a)


@pytest.mark.slow
@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_a_scanned_page_is_read_in_the_sandbox(text: str, tmp_path: Path) -> None:
    file = tmp_path / "scan.pdf"
    file.write_bytes(picture_bytes(scan(text, size=32, noise=12), "PDF"))
    sandbox = Sandbox(Budget())
    try:
        result = sandbox.read(file)
    finally:
        sandbox.close()
    (found,) = result.documents
    assert characters_read(text, found.text) >= 0.97, found.text
    (page,) = found.pages
    assert page.ocr and page.text_score > 0.8


@pytest.mark.slow
def test_a_picture_that_lies_upside_down_is_turned() -> None:
    found = read_one("photo.png", picture_bytes(scan(ENGLISH.split("\n")[0], size=30).rotate(180), "PNG"), ocr="auto")
    assert characters_read(ENGLISH.split("\n")[0], found.text) >= 0.95


def test_without_ocr_a_picture_is_skipped() -> None:
    (found,) = read("photo.png", picture_bytes(scan("Text", size=30), "PNG"), ocr="never")
    assert isinstance(found, Unread) and found.skipped


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        ("4,5o0 euro", "4,500 euro"),
        ("9oo hours", "900 hours"),
        ("5，000元", "5,000元"),
        ("3，4，5", "3，4，5"),
        ("CO2 to O2", "CO2 to O2"),
        ("10 of 12", "10 of 12"),
    ],
)
def test_numbers_are_mended(raw: str, mended: str) -> None:
    assert _mended(raw) == mended


def test_lines_that_follow_closely_are_a_paragraph() -> None:
    lines = ReadLines(
        (
            Line("the quick", 0, 0, 100, 10, 1.0),
            Line("brown fox", 0, 14, 60, 24, 1.0),
            Line("Next.", 0, 60, 50, 70, 0.5),
        )
    )
    assert lines.paragraphs == ["the quick brown fox", "Next."]
    assert lines.confidence == pytest.approx((9 + 9 + 2.5) / 23, abs=1e-3)


@pytest.mark.slow
def test_a_garbled_text_layer_gives_way_to_ocr() -> None:
    """The page shows English; its hidden text layer is the same with every letter shifted by three."""
    import io

    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    words = ENGLISH.split("\n")[:3]
    shifted = ["".join(chr((ord(c) - 97 + 3) % 26 + 97) if c.islower() else c for c in line) for line in words]
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842))
    canvas.drawImage(ImageReader(scan("\n".join(words), size=32)), 0, 600, 595, 120)
    text = canvas.beginText(40, 700)
    text.setTextRenderMode(3)
    text.textLines(shifted)
    canvas.drawText(text)
    canvas.save()
    found = read_one("garbled.pdf", out.getvalue(), ocr="auto")
    assert found.pages[0].ocr and "maintenance contract" in found.text and "pdlqwhqdqfh" not in found.text
