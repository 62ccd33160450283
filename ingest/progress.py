"""How far a run is: pages and chunks a second, files left, on the error output."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol


class Progress(Protocol):
    """Told by the run what is done."""

    def start(self, files: int) -> None:
        """So many files have to be read."""
        ...

    def file(self, path: str, pages: int) -> None:
        """A file has been read; a file without pages counts as one."""
        ...

    def embedding(self, total: int) -> None:
        """So many chunks are about to be embedded."""
        ...

    def chunks(self, count: int, total: int) -> None:
        """So many more of the `total` chunks of this batch have been embedded."""
        ...


class Silent:
    """Tells nobody."""

    def start(self, files: int) -> None:
        pass

    def file(self, path: str, pages: int) -> None:
        pass

    def embedding(self, total: int) -> None:
        pass

    def chunks(self, count: int, total: int) -> None:
        pass


class Bar:
    """A bar on the error output with pages/s, chunks/s and the time left. Close it when done."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._started = time.monotonic()
        self._pages = self._chunks = 0

    def start(self, files: int) -> None:
        from tqdm import tqdm

        self._started = time.monotonic()
        self._bar = tqdm(total=files, unit="file", file=sys.stderr, dynamic_ncols=True, leave=False)

    def file(self, path: str, pages: int) -> None:
        self._pages += pages
        if self._bar is not None:
            self._bar.update(1)
            self._show()

    def embedding(self, total: int) -> None:
        pass

    def chunks(self, count: int, total: int) -> None:
        self._chunks += count
        self._show()

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _show(self) -> None:
        seconds = max(time.monotonic() - self._started, 1e-3)
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._pages / seconds:.1f} pages/s, {self._chunks / seconds:.1f} chunks/s")
