"""The text sources of the generated files: front matter, then a small subset of Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

SOURCES = Path(__file__).parent / "sources"
CORPUS = Path(__file__).parent.parent


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Bullets | Table


@dataclass(frozen=True)
class Source:
    """One source file: `target` is the generated file, `body` the text after the front matter."""

    target: Path
    meta: dict[str, str]
    body: str

    @property
    def suffix(self) -> str:
        return self.target.suffix

    @property
    def date(self) -> date:
        return date.fromisoformat(self.meta["date"].split()[0])

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(_block(part) for part in self.body.strip().split("\n\n") if part.strip())


def read_sources(folder: Path = SOURCES, corpus: Path = CORPUS) -> list[Source]:
    """Every `NAME.EXT.md` below `folder`, in the order of the paths; its target is `NAME.EXT` below `corpus`."""
    return [_read(path, corpus / path.relative_to(folder).with_suffix("")) for path in sorted(folder.rglob("*.md"))]


def _read(path: Path, target: Path) -> Source:
    _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
    meta = dict(line.split(": ", 1) for line in head.splitlines())
    return Source(target, meta, body)


def _block(text: str) -> Block:
    """One block from its lines; a block is what stands between two empty lines."""
    lines = text.strip().splitlines()
    first = lines[0]
    if first.startswith("#"):
        marks, title = first.split(" ", 1)
        return Heading(len(marks), title)
    if first.startswith("|"):
        rows = [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in lines]
        return Table(rows[0], tuple(rows[2:]))
    if first.startswith("- "):
        return Bullets(tuple(line.removeprefix("- ") for line in lines))
    return Paragraph("\n".join(lines))
