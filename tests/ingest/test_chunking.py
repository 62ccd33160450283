"""Chunks: exact spans, no cut where there must be none, edits that stay local."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunking import ChunkSizes, chunk, estimate_tokens, sentences
from ingest.parsed import Limits, TextBuilder
from rag.types import Document, Page

SMALL = ChunkSizes(least=10, most=25, whole=25, hard=40, parent=80)


def document(
    *blocks: tuple[str, str] | tuple[str, str, int], pages: tuple[int, ...] = (), title: str = "Title"
) -> Document:
    """A document of these blocks; a new page begins before the blocks numbered in `pages`."""
    builder = TextBuilder(Limits())
    for at, (kind, text, *level) in enumerate(blocks):
        if at in pages:
            builder.page(pages.index(at) + 1)
        builder.block(kind, text, *level)  # type: ignore[arg-type]
    parsed = builder.build("text", title)
    return Document("d", title, parsed.text, "d.md", "/r", "h", parsed.pages, parsed.blocks)


def words(count: int, seed: str = "w") -> str:
    return " ".join(f"{seed}{n}" for n in range(count))


def prose(count: int, seed: str = "Item") -> str:
    return " ".join(f"{seed} number {n} is kept on shelf {n * 7}." for n in range(count))


TEXTS = st.text(st.sampled_from("ab Z9.。！？!?\n，,；|第一条 'é𝄞"), min_size=1, max_size=400)
BLOCKS = st.lists(
    st.tuples(st.sampled_from(["paragraph", "heading", "table", "code", "list"]), TEXTS, st.integers(1, 6)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(BLOCKS, st.lists(st.integers(0, 11), max_size=3, unique=True).map(sorted))
def test_every_chunk_is_its_span_of_the_text_and_chunks_do_not_overlap(
    drawn: list[tuple[str, str, int]], pages: list[int]
) -> None:
    from ingest.parsed import Skip

    try:
        made = document(*drawn, pages=tuple(pages))
    except Skip:
        return
    chunks = chunk(made, SMALL)
    assert all(made.text[c.span[0] : c.span[1]] == c.text and c.text.strip() for c in chunks)
    assert all(a.span[1] <= b.span[0] for a, b in pairwise(chunks))
    assert all(c.parent[0] <= c.span[0] and c.span[1] <= c.parent[1] for c in chunks)


@settings(max_examples=150, deadline=None)
@given(BLOCKS)
def test_nothing_but_headings_is_left_out(drawn: list[tuple[str, str, int]]) -> None:
    from ingest.parsed import Skip

    try:
        made = document(*drawn)
    except Skip:
        return
    covered = set()
    for c in chunk(made, SMALL):
        covered |= set(range(*c.span))
    for block in made.blocks:
        if block.kind != "heading":
            assert all(i in covered or made.text[i].isspace() for i in range(*block.span))


def test_a_heading_is_context_and_not_text() -> None:
    made = document(
        ("heading", "Leave", 1), ("heading", "Annual leave", 2), ("paragraph", "Everyone has 23 days."), title="Policy"
    )
    (only,) = chunk(made)
    assert only.text == "Everyone has 23 days."
    assert only.context == "Policy > Leave > Annual leave"


def test_a_heading_with_nothing_below_it_is_a_chunk_itself() -> None:
    made = document(("heading", "Closed on 24 December", 2), ("heading", "Open", 2), ("paragraph", "All other days."))
    assert [c.text for c in chunk(made)] == ["Closed on 24 December", "All other days."]


def test_a_chunk_never_crosses_a_heading_or_a_page() -> None:
    made = document(
        ("paragraph", "One."), ("paragraph", "Two."), ("heading", "H", 1), ("paragraph", "Three."), pages=(0, 1)
    )
    assert [(c.text, c.page) for c in chunk(made)] == [("One.", 1), ("Two.", 2), ("Three.", 2)]


def test_table_rows_stay_whole_and_later_chunks_carry_the_header_as_context() -> None:
    rows = [f"| part {n} | {n * 11} euro |" for n in range(30)]
    made = document(("table", "\n".join(["| Part | Price |", "| --- | --- |", *rows])), title="Prices")
    chunks = chunk(made, SMALL)
    assert len(chunks) > 3
    lines = [line for c in chunks for line in c.text.split("\n")]
    assert lines == ["| Part | Price |", "| --- | --- |", *rows]
    assert chunks[0].heading == () and chunks[0].text.startswith("| Part | Price |\n| --- | --- |\n| part 0 |")
    assert all(c.heading == ("Part | Price",) for c in chunks[1:])


def test_lines_of_code_stay_whole() -> None:
    code = "\n".join(f"    value_{n} = compute({n}, {n + 1})" for n in range(40))
    chunks = chunk(document(("code", code)), SMALL)
    assert [line.strip() for c in chunks for line in c.text.split("\n")] == [line.strip() for line in code.split("\n")]


def test_chunks_end_at_sentences_in_both_languages() -> None:
    english, chinese = prose(20), "".join(f"第{n}项物品存放在{n}号货架上。" for n in range(20))
    for text, end in ((english, "."), (chinese, "。")):
        chunks = chunk(document(("paragraph", text)), SMALL)
        assert len(chunks) > 3 and all(c.text.endswith(end) for c in chunks)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Who met Mr. Fox at 3.5 km. They left.", 2),
        ("See Fig. 3 and Sec. 4. It is clear.", 2),
        ("第一条 为了规范管理，制定本办法。第二条 适用于全体员工！好吗？好。", 4),
        ("He said “Stop.” Then he left.", 2),
        ("one line\nanother line", 2),
    ],
)
def test_sentences(text: str, count: int) -> None:
    found = sentences(text)
    assert len(found) == count, [text[a:b] for a, b in found]


def test_an_edit_changes_only_the_chunks_around_it() -> None:
    paragraphs = [f"Paragraph {n} speaks of item {n * 37}. " + prose(6, f"Thing{n}") for n in range(60)]
    before = {c.content_hash for c in chunk(document(*(("paragraph", p) for p in paragraphs)), ChunkSizes())}
    paragraphs[29] = paragraphs[29].replace("item 1073", "item 999 of the new list")
    after = [c.content_hash for c in chunk(document(*(("paragraph", p) for p in paragraphs)), ChunkSizes())]
    assert len(before) > 20
    assert sum(h not in before for h in after) <= 3


def test_sizes_hold() -> None:
    sizes = ChunkSizes()
    chunks = chunk(document(("paragraph", prose(400)), ("paragraph", words(3000)), ("paragraph", "字" * 3000)), sizes)
    tokens = [estimate_tokens(c.text) for c in chunks]
    assert max(tokens) <= sizes.hard
    assert sum(t >= sizes.least for t in tokens) >= len(tokens) - 3


def test_the_parent_is_what_stands_around_the_chunk_within_its_section() -> None:
    made = document(("heading", "A", 1), ("paragraph", prose(6)), ("heading", "B", 1), ("paragraph", prose(60)))
    chunks = chunk(made, SMALL)
    a = [c for c in chunks if c.heading == ("A",)]
    assert len({c.parent for c in a}) == 1 and a[0].parent == (a[0].span[0], a[-1].span[1])
    middle = [c for c in chunks if c.heading == ("B",)][10]
    assert middle.parent[0] < middle.span[0] and middle.span[1] < middle.parent[1]
    assert estimate_tokens(made.text[slice(*middle.parent)]) <= SMALL.parent


def test_a_section_that_is_a_little_long_stays_whole() -> None:
    sizes = ChunkSizes(least=10, most=25, whole=40, hard=40, parent=80)
    text = prose(4)
    assert sizes.most < estimate_tokens(text) <= sizes.whole
    assert [c.text for c in chunk(document(("paragraph", text)), sizes)] == [text]
    assert len(chunk(document(("paragraph", prose(8))), sizes)) > 1


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        ChunkSizes(least=100, most=50)


def test_page_of_a_chunk_is_the_page_it_begins_on() -> None:
    made = document(("paragraph", "One."), ("paragraph", "Two."), pages=(0, 1))
    assert [p.number for p in made.pages] == [1, 2]
    assert isinstance(made.pages[0], Page) and made.text[slice(*made.pages[1].span)] == "Two."
