"""Pictures of text: each frame by OCR."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from ingest.ocr import read_lines
from ingest.parsed import Parsed, Skip, Source, TextBuilder, Unreadable
from ingest.quality import measure

_MAX_FRAMES = 200


def read(source: Source) -> Iterator[Parsed]:
    """One document. Raises Skip for pictures without text or when OCR is off, Unreadable for damaged or oversized ones."""
    if source.ocr == "never":
        raise Skip("a picture, and OCR is off")
    builder = TextBuilder(source.limits)
    Image.MAX_IMAGE_PIXELS = source.limits.pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(source.file)
            for number, frame in enumerate(ImageSequence.Iterator(picture), 1):
                if number > _MAX_FRAMES or (number > 1 and picture.format == "GIF"):
                    break
                lines = read_lines(ImageOps.exif_transpose(frame).convert("RGB"))
                quality = measure("\n".join(lines.texts))
                builder.page(
                    number,
                    text_score=min(quality.score, lines.confidence),
                    ocr=True,
                    characters_lost=quality.characters_lost,
                )
                for paragraph in lines.paragraphs:
                    builder.block("paragraph", paragraph)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise Unreadable(f"more than {source.limits.pixels:,} pixels") from e
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as e:
        raise Unreadable(f"not a readable picture ({' '.join(str(e).split())[:100]})") from e
    if not builder.length:
        raise Skip("a picture without text")
    yield builder.build("image", source.name.rsplit(".", 1)[0])
