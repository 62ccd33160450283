"""Slides by python-pptx: a page a slide, its title as heading, text frames in reading order, tables, notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pptx
from pptx.exc import PackageNotFoundError

from ingest.parsed import Parsed, Source, TextBuilder, Unreadable
from ingest.readers.office import checked_package, core_date

_MAX_GROUPS = 20  # groups in groups


def read(source: Source) -> Iterator[Parsed]:
    """One document. Raises Unreadable for what is no presentation, is encrypted, or unpacks beyond the limits."""
    try:
        deck = pptx.Presentation(checked_package(source))
        slides = list(deck.slides)
    except (KeyError, ValueError, AttributeError, IndexError, SyntaxError, PackageNotFoundError) as e:
        raise Unreadable(f"not a readable presentation ({str(e)[:120] or type(e).__name__})") from e
    builder = TextBuilder(source.limits)
    first = ""
    for number, slide in enumerate(slides, 1):
        title = slide.shapes.title
        heading = " ".join(title.text_frame.text.split()) if title is not None and title.has_text_frame else ""
        builder.page(number, "slide", tables=sum(bool(getattr(s, "has_table", False)) for s in slide.shapes))
        if heading:
            builder.heading(heading, 2)
            first = first or heading
        shapes = sorted(_flat(slide.shapes, 0), key=lambda s: ((s.top or 0) // 300_000, s.left or 0))
        for shape in shapes:
            if title is not None and shape.shape_id == title.shape_id:
                continue
            if getattr(shape, "has_table", False):
                builder.table([[c.text for c in row.cells] for row in shape.table.rows])
            elif shape.has_text_frame:
                lines = [" ".join(p.text.replace("\v", " ").split()) for p in shape.text_frame.paragraphs]
                lines = [x for x in lines if x]
                builder.block(
                    "list" if len(lines) > 1 else "paragraph",
                    "\n".join(f"- {x}" for x in lines) if len(lines) > 1 else "".join(lines),
                )
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            builder.block("paragraph", slide.notes_slide.notes_text_frame.text)
    facts = deck.core_properties
    yield builder.build(
        "pptx",
        _known(facts.title) or first or source.name.rsplit(".", 1)[0],
        author=facts.author or None,
        date=core_date(facts.modified, facts.created),
    )


def _flat(shapes: Any, depth: int) -> Iterator[Any]:
    for shape in shapes:
        if shape.shape_type is not None and int(shape.shape_type) == 6 and depth < _MAX_GROUPS:  # a group
            yield from _flat(shape.shapes, depth + 1)
        else:
            yield shape


def _known(title: str | None) -> str:
    title = (title or "").strip()
    return "" if title.lower() in ("", "powerpoint presentation", "powerpoint 演示文稿") else title
