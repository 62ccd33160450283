"""Pictures of pages, drawn in a reading process: the file is as untrusted now as when it was read."""

from __future__ import annotations

from pathlib import Path

from ingest.sandbox import Budget, Refused, Sandbox
from rag.errors import ReadFailed

_BUDGET = Budget(seconds=20.0)


def page_png(path: Path, page: int, quote: str = "") -> bytes:
    """PNG of a PDF's page (1-based) with the quote highlighted. Raises ReadFailed when there is no such page or the file cannot be shown."""
    sandbox = Sandbox(_BUDGET)
    try:
        return sandbox.render(path, page, quote)
    except Refused as e:
        raise ReadFailed(f"{path.name}: page {page} cannot be shown ({e})") from e
    finally:
        sandbox.close()
