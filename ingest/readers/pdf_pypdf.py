"""PDF by pypdf: slower and without layout, but it mends some damaged files. The home of pypdf."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pypdf
from pypdf.errors import DependencyError, PdfReadError, PyPdfError

from ingest.parsed import Parsed, Skip, Source, TextBuilder, Unreadable
from ingest.quality import measure
from ingest.readers.text import add_paragraphs


def read(source: Source) -> Iterator[Parsed]:
    """One document, a page a page. Raises Unreadable for what is damaged or encrypted."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its warnings say nothing that the reason does not
    try:
        reader = pypdf.PdfReader(io.BytesIO(source.bytes()))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("encrypted: it needs a password")
        count = len(reader.pages)
    except DependencyError as e:
        raise Unreadable("encrypted: it needs a password") from e
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError) as e:
        raise Unreadable(f"not a readable PDF ({' '.join(str(e).split())[:120] or type(e).__name__})") from e
    if not count:
        raise Unreadable("not a readable PDF (no pages)")
    if count > source.limits.pages:
        raise Unreadable(f"{count:,} pages, more than the {source.limits.pages:,} allowed")
    builder = TextBuilder(source.limits)
    for number in range(1, count + 1):
        try:
            text = reader.pages[number - 1].extract_text()
        except (
            PdfReadError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            AssertionError,
            ZeroDivisionError,
        ):
            text = ""  # this page only: its score says so
        quality = measure(text)
        builder.page(number, text_score=quality.score if text.strip() else 0.0, characters_lost=quality.characters_lost)
        add_paragraphs(builder, text)
    if not builder.length:
        raise Skip("no text on any page")
    yield builder.build("pdf", source.name.rsplit(".", 1)[0])
