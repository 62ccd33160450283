"""Runs of text with boxes become columns, tables, headings and paragraphs in reading order."""

from __future__ import annotations

from ingest.page_layout import arrange
from ingest.page_runs import Piece, Run


def line(text: str, left: float, top: float, size: float = 10, *, bold: bool = False) -> Run:
    """A run whose letters are half as wide as high."""
    wide = sum(2 if c > "\u2e80" else 1 for c in text)
    return Run(text, left, top, left + wide * size / 2, top + size * 1.2, size, bold)


def texts(pieces: list[Piece]) -> list[tuple[str, str]]:
    return [(p.kind, p.text) for p in pieces]


def test_lines_of_a_paragraph_are_joined_and_a_gap_parts_paragraphs() -> None:
    runs = [
        line("The quick brown fox jumps over", 50, 100),
        line("the lazy dog in the yard.", 50, 114),
        line("Another paragraph begins here.", 50, 150),
    ]
    assert texts(arrange(runs, 10)) == [
        ("paragraph", "The quick brown fox jumps over the lazy dog in the yard."),
        ("paragraph", "Another paragraph begins here."),
    ]


def test_larger_lines_are_headings_and_bold_ones_lesser_ones() -> None:
    runs = [
        line("Report", 50, 50, 20),
        line("Seal", 50, 100, bold=True),
        line("The seal is replaced every year by the staff.", 50, 114),
    ]
    assert [(p.kind, p.level) for p in arrange(runs, 10)] == [("heading", 1), ("heading", 3), ("paragraph", 0)]


def test_two_columns_are_read_one_after_the_other() -> None:
    left = [line(f"left column line number {n} of prose", 50, 100 + 14 * n) for n in range(8)]
    right = [line(f"right column line number {n} of prose", 320, 103 + 14 * n) for n in range(8)]
    runs = [
        line("A title across both columns of the whole page is here", 50, 60, 16),
        *(r for pair in zip(left, right, strict=True) for r in pair),
    ]
    words = " ".join(p.text for p in arrange(runs, 10))
    assert words.index("left column line number 7") < words.index("right column line number 0")
    assert words.startswith("A title across")


def test_rows_of_short_cells_are_a_table() -> None:
    rows = [
        ("Part", "2023", "2022"),
        ("Revenue", "17,606", "15,785"),
        ("Cost", "2,165", "1,865"),
        ("Net income", "4,756", "4,822"),
    ]
    runs = [
        line(cell, x, 100 + 14 * n) for n, row in enumerate(rows) for cell, x in zip(row, (50, 250, 330), strict=True)
    ]
    (table,) = arrange(runs, 10)
    assert table.kind == "table" and table.rows == tuple(rows)


def test_currency_signs_join_their_numbers() -> None:
    rows = [("Revenue", "$", "17,606"), ("Income", "$", "4,756"), ("Cost", "", "2,165")]
    runs = [
        line(c, x, 100 + 14 * n) for n, row in enumerate(rows) for c, x in zip(row, (50, 250, 270), strict=True) if c
    ]
    (table,) = arrange(runs, 10)
    assert table.rows == (("Revenue", "$ 17,606"), ("Income", "$ 4,756"), ("Cost", "2,165"))


def test_a_wrapped_cell_is_one_cell() -> None:
    runs = [line("Code", 50, 100), line("Meaning", 120, 100), line("To do", 300, 100)]
    runs += [
        line("H-07", 50, 120),
        line("bus shorted", 120, 120),
        line("disconnect branches", 300, 120),
        line("one by one", 300, 132),
    ]
    runs += [line("H-12", 50, 150), line("motor blocked", 120, 150), line("clean the rack", 300, 150)]
    (table,) = arrange(runs, 10)
    assert table.rows[1] == ("H-07", "bus shorted", "disconnect branches one by one")


def test_chinese_columns_count_by_their_width() -> None:
    left = [line("水泵在收入中的占比为百分之二十七左右", 50, 100 + 14 * n) for n in range(6)]
    right = [line("传感器在收入中的占比为百分之九左右", 330, 100 + 14 * n) for n in range(6)]
    words = "".join(p.text for p in arrange([*left, *right], 10))
    assert words.index("传感器") > words.rindex("水泵")


def test_nothing_gives_nothing() -> None:
    assert arrange([], 10) == []
