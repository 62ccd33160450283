"""A page of a PDF as a picture with a quote marked in it. Runs in the sandboxed process only."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pypdfium2

_SCALE = 110 / 72  # pixels a point
_MARK = (255, 214, 0)
_SHORTEST = 6  # letters of a fragment that is looked for on its own
_MAX_SIDE = 2_400  # pixels


def page_picture(data: bytes, number: int, quote: str) -> bytes:
    """PNG of page `number` (1-based). The quote is found by its letters and digits alone: wrapped, hyphenated and tabular text are found too.

    Raises ValueError when there is no such page, pypdfium2's error for what is no PDF.
    """
    from PIL import Image, ImageChops, ImageDraw

    pdf = pypdfium2.PdfDocument(data)
    if not 1 <= number <= len(pdf):
        raise ValueError(f"page {number} of {len(pdf)}")
    page = pdf[number - 1]
    scale = min(_SCALE, _MAX_SIDE / max(page.get_width(), page.get_height(), 1.0))
    picture = page.render(scale=scale).to_pil().convert("RGB")
    boxes = list(_boxes(page, quote))
    if boxes:
        marks = Image.new("RGB", picture.size, "white")
        draw = ImageDraw.Draw(marks)
        height = page.get_height()
        for left, bottom, right, top in boxes:
            draw.rectangle(
                [left * scale - 1, (height - top) * scale - 1, right * scale + 1, (height - bottom) * scale + 1],
                fill=_MARK,
            )
        picture = ImageChops.multiply(picture, marks)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _boxes(page: pypdfium2.PdfPage, quote: str) -> Iterator[tuple[float, float, float, float]]:
    """Boxes (left, bottom, right, top; points) of the quote: in one piece, else line by line, sentence by sentence, cell by cell."""
    textpage = page.get_textpage()
    characters = [textpage.get_text_range(i, 1) for i in range(textpage.count_chars())]
    letters = [(c.lower(), i) for i, text in enumerate(characters) for c in text if c.isalnum()]
    page_key = "".join(c for c, _ in letters)
    for fragment in _fragments(quote, page_key):
        start = page_key.find(fragment)
        first, last = letters[start][1], letters[start + len(fragment) - 1][1]
        count = textpage.count_rects(first, last - first + 1)
        yield from (textpage.get_rect(n) for n in range(count))


def _fragments(quote: str, page_key: str) -> Iterator[str]:
    whole = _key(quote)
    if not whole:
        return
    if whole in page_key:
        yield whole
        return
    for pattern in (r"\n", r"\n|(?<=[.!?。！？；;])\s*", r"\n|\||[,，、;；.。]"):
        keys = [k for k in (_key(part) for part in re.split(pattern, quote)) if len(k) >= _SHORTEST]
        found = [k for k in keys if k in page_key]
        if keys and len(found) * 2 >= len(keys):
            yield from dict.fromkeys(found)
            return


def _key(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
