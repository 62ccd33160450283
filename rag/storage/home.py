"""The home folder: where the collections are. Nothing is created by looking."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from rag.errors import CollectionLocked, CorruptCollection, NotFound, StorageFailed, UsageError
from rag.storage.card import Card
from rag.storage.collection import Collection, create, threads_of
from rag.storage.files import Disk
from rag.storage.layout import COLLECTIONS, WRITER_LOCK
from rag.storage.locks import exclusive
from rag.storage.verification import strangers

_NAME = re.compile(r"\w[\w.-]{0,63}")


class Home:
    """Makes, opens and removes collections by name."""

    def __init__(
        self, folder: Path, *, disk: Disk | None = None, exact_vectors: int = 50_000, threads: int = 0
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
        if self._path(name).exists():
            raise UsageError(f"collection {name}: exists already; choose another name or remove it")
        unfinished = self.folder / COLLECTIONS / f".new-{uuid4().hex}"
        try:
            create(unfinished, card, self.disk, uuid4().hex)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return self.adopt(unfinished, name)

    def adopt(self, unfinished: Path, name: str) -> Collection:
        """Gives a finished folder its name, which is the moment the collection comes to be. Raises UsageError when taken."""
        path = self._path(name)
        try:
            self.disk.sync_folder(unfinished)
            self.disk.rename(unfinished, path)
        except OSError as e:
            shutil.rmtree(unfinished, ignore_errors=True)
            if path.exists():
                raise UsageError(f"collection {name}: exists already; choose another name or remove it") from e
            raise StorageFailed(f"{path}: {e.strerror or e}; the collection was not made") from e
        self.disk.sync_folder(path.parent)
        return self.open(name)

    def open(self, name: str, *, any_tokenizer: bool = False) -> Collection:
        """Raises NotFound, CorruptCollection, CollectionMismatch (with `any_tokenizer` not for another tokenizer's tokens)."""
        path = self._path(name)
        while folder := _inode(path):
            try:
                return Collection(
                    path,
                    self.disk,
                    exact_vectors=self._exact_vectors,
                    threads=self._threads,
                    any_tokenizer=any_tokenizer,
                )
            except (CorruptCollection, StorageFailed):
                if _inode(path) == folder:
                    raise
                # It was removed or replaced while its files were opened.
        raise NotFound(f"collection {name}: there is none in {self.folder}; make it with `rag ingest PATH`")

    def names(self) -> list[str]:
        """The collections, sorted."""
        folder = self.folder / COLLECTIONS
        if not folder.is_dir():
            return []
        for coming in folder.glob(".next-*"):
            self._mend(coming.name.removeprefix(".next-"))
        return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))

    def replace(self, name: str, by: str) -> None:
        """Puts collection `by` in the place of `name`, which is removed. Neither may be open for writing.

        A crash in between is mended by the next look at `name`. Raises NotFound, CollectionLocked.
        """
        old, new = self._path(name), self._path(by)
        if not new.is_dir():
            raise NotFound(f"collection {by}: there is none in {self.folder}; `rag collections list` shows what is")
        with exclusive(old / WRITER_LOCK) as holder:
            if holder is not None:
                raise CollectionLocked(f"collection {name}: process {holder} is writing to it; wait until it is done")
            # First under a name that says what is to come: from here on, the new one is found under `name`.
            self.disk.rename(new, old.with_name(f".next-{name}"))
            self.disk.sync_folder(old.parent)
            self.disk.rename(old, old.with_name(f".old-{uuid4().hex}"))
            self._mend(name)

    def remove(self, name: str) -> None:
        """Removes a collection with everything in it. Raises NotFound, CollectionLocked."""
        path = self._path(name)
        if not path.is_dir():
            raise NotFound(f"collection {name}: there is none in {self.folder}; `rag collections list` shows what is")
        with exclusive(path / WRITER_LOCK) as holder:
            if holder is not None:
                raise CollectionLocked(f"collection {name}: process {holder} is writing to it; wait until it is done")
            gone = path.with_name(f".old-{uuid4().hex}")
            path.replace(gone)
        self.disk.sync_folder(path.parent)
        shutil.rmtree(gone, ignore_errors=True)

    def verify(self, names: Sequence[str] | None = None) -> list[str]:
        """Everything wrong in these collections, or in all of them and the files beside them; empty when sound."""
        found: list[str] = []
        for name in self.names() if names is None else names:
            try:
                collection = self.open(name)
            except (CorruptCollection, StorageFailed) as e:
                found.append(str(e))
                continue
            try:
                found += [f"collection {name}: {problem}" for problem in collection.verify()]
            finally:
                collection.close()
        return found if names is not None else found + strangers(self.folder)

    def _mend(self, name: str) -> None:
        """Ends a `replace` that was cut off."""
        path = self.folder / COLLECTIONS / name
        coming = path.with_name(f".next-{name}")
        if coming.is_dir() and not path.exists():
            self.disk.rename(coming, path)
            self.disk.sync_folder(path.parent)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError(f"collection {name!r}: a name has letters, digits, '-', '_' and '.', at most 64")
        self._mend(name)
        return self.folder / COLLECTIONS / name


def _inode(folder: Path) -> int:
    """0 where there is no such folder."""
    try:
        return folder.stat().st_ino if folder.is_dir() else 0
    except FileNotFoundError:
        return 0
