"""The home folder: where the collections are. Nothing is created by looking."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from uuid import uuid4

from rag.errors import CollectionLocked, NotFound, UsageError
from rag.storage.card import Card
from rag.storage.collection import Collection, create, threads_of
from rag.storage.files import Disk
from rag.storage.locks import exclusive

COLLECTIONS = "collections"
_NAME = re.compile(r"\w[\w.-]{0,63}")


class Home:
    """Makes, opens and removes collections by name."""

    def __init__(
        self, folder: Path, *, disk: Disk | None = None, exact_vectors: int = 200_000, threads: int = 0
    ) -> None:
        self.folder = folder
        self.disk = disk or Disk()
        self._exact_vectors = exact_vectors
        self._threads = threads_of(threads)

    def exists(self, name: str) -> bool:
        """Whether there is such a collection. Raises UsageError for what cannot be a name."""
        return self._path(name).is_dir()

    def create(self, name: str, card: Card) -> Collection:
        """A new, empty collection. Raises UsageError when it exists."""
        path = self._path(name)
        if path.exists():
            raise UsageError(f"collection {name}: exists already; choose another name or remove it")
        unfinished = path.with_name(f".new-{uuid4().hex}")
        self.disk.make_folder(path.parent)
        try:
            create(unfinished, card, self.disk, uuid4().hex)
            self.disk.rename(unfinished, path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        self.disk.sync_folder(path.parent)
        return self.open(name)

    def open(self, name: str) -> Collection:
        """Raises NotFound, CorruptCollection, CollectionMismatch."""
        path = self._path(name)
        if not path.is_dir():
            raise NotFound(f"collection {name}: there is none in {self.folder}; make it with `rag ingest PATH`")
        return Collection(path, self.disk, exact_vectors=self._exact_vectors, threads=self._threads)

    def names(self) -> list[str]:
        """The collections, sorted."""
        folder = self.folder / COLLECTIONS
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))

    def remove(self, name: str) -> None:
        """Removes a collection with everything in it. Raises NotFound, CollectionLocked."""
        path = self._path(name)
        if not path.is_dir():
            raise NotFound(f"collection {name}: there is none in {self.folder}; `rag collections list` shows what is")
        with exclusive(path / "writer.lock") as holder:
            if holder is not None:
                raise CollectionLocked(f"collection {name}: process {holder} is writing to it; wait until it is done")
            gone = path.with_name(f".old-{uuid4().hex}")
            path.replace(gone)
        self.disk.sync_folder(path.parent)
        shutil.rmtree(gone, ignore_errors=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError(f"collection {name!r}: a name has letters, digits, '-', '_' and '.', at most 64")
        return self.folder / COLLECTIONS / name
