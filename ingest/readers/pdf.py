"""PDF by pdfium. Thin for now: page text."""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2

from ingest.parsed import Parsed, Skip, Source, TextBuilder, Unreadable
from ingest.quality import measure
from ingest.readers.text import add_paragraphs


def read(source: Source) -> Iterator[Parsed]:
    try:
        pdf = pypdfium2.PdfDocument(source.bytes())
    except pypdfium2.PdfiumError as e:
        reason = str(e)
        if "assword" in reason:
            raise Unreadable("encrypted: it needs a password") from e
        raise Unreadable(f"not a readable PDF ({reason.rstrip('.')[:120]})") from e
    builder = TextBuilder(source.limits)
    if len(pdf) > source.limits.pages:
        raise Unreadable(f"{len(pdf):,} pages, more than the {source.limits.pages:,} allowed")
    for number in range(len(pdf)):
        page = pdf[number]
        text = page.get_textpage().get_text_bounded()
        quality = measure(text)
        builder.page(number + 1, text_score=quality.score, characters_lost=quality.characters_lost)
        add_paragraphs(builder, text)
    if not builder.length:
        raise Skip("no text on any page")
    title = (pdf.get_metadata_dict().get("Title") or "").strip()
    yield builder.build("pdf", title or source.name.rsplit(".", 1)[0])
