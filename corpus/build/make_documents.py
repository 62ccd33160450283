"""Make the binary files of the corpus from `sources/`: `python corpus/build/make_documents.py`.

The same sources give the same bytes, so that a rebuilt corpus is an unchanged corpus.
"""

from __future__ import annotations

import argparse
import sys
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from office import write_docx, write_pptx, write_xlsx
from pdf import write_pdf
from sources import CORPUS, Source, read_sources

CJK_FONT = Path("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf")


def write_text(source: Source) -> None:
    """A text file in the old encoding that many Windows programs in China still write, with their line ends."""
    data = source.body.strip().replace("\n", "\r\n") + "\r\n"
    source.target.write_bytes(data.encode(source.meta["encoding"]))


def write_mail(source: Source) -> None:
    """A message as a mail program stores it: encoded header words, the body in base64 where it is not ASCII."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = source.meta["from"], source.meta["to"]
    message["Subject"] = source.meta["subject"]
    message["Date"] = f"{source.date:%a, %d %b %Y} {source.meta['date'].split()[1]}:00 +0000"
    message["Message-ID"] = f"<{source.meta['id']}@thistlequay.example>"
    message.set_content(source.body)
    source.target.write_bytes(message.as_bytes())


def write(source: Source, cjk_font: Path) -> None:
    source.target.parent.mkdir(parents=True, exist_ok=True)
    match source.suffix:
        case ".docx":
            write_docx(source)
        case ".xlsx":
            write_xlsx(source)
        case ".pptx":
            write_pptx(source)
        case ".pdf":
            write_pdf(source, cjk_font)
        case ".eml":
            write_mail(source)
        case ".txt":
            write_text(source)
        case other:
            raise ValueError(f"{source.target.name}: nothing here writes {other} files")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cjk-font", type=Path, default=CJK_FONT, help="TrueType font to embed (Debian: fonts-droid-fallback)"
    )
    arguments = parser.parse_args()
    for source in read_sources():
        write(source, arguments.cjk_font)
        sys.stdout.write(f"{source.target.relative_to(CORPUS)}  {source.target.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
