"""Small rows kept in a collection's settings by key, in shards, so that a run writes only the shards that it changed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.storage.collection import Collection

_SHARDS = 64


class Shelf:
    """Key -> JSON row. Read whole at once; `save` writes what changed."""

    def __init__(self, collection: Collection, name: str) -> None:
        self._collection = collection
        self._name = name
        self.rows: dict[str, Any] = {}
        self._changed: set[int] = set()
        for shard in range(_SHARDS):
            self.rows.update(collection.get_setting(f"{name}.{shard:02d}") or {})

    @staticmethod
    def one(collection: Collection, name: str, key: str) -> Any:
        """One row, without reading the others; None when there is none."""
        return (collection.get_setting(f"{name}.{_shard(key):02d}") or {}).get(key)

    def put(self, key: str, row: Any) -> None:
        """Adds or replaces a row."""
        self.rows[key] = row
        self._changed.add(_shard(key))

    def drop(self, keys: Iterable[str]) -> None:
        """Takes rows away; unknown keys are no error."""
        for key in keys:
            if self.rows.pop(key, None) is not None:
                self._changed.add(_shard(key))

    def save(self) -> None:
        """Makes the changes last."""
        if not self._changed:
            return
        parts: dict[int, dict[str, Any]] = {shard: {} for shard in self._changed}
        for key, row in sorted(self.rows.items()):
            if (shard := _shard(key)) in parts:
                parts[shard][key] = row
        self._collection.set_settings({f"{self._name}.{shard:02d}": rows for shard, rows in sorted(parts.items())})
        self._changed.clear()


def _shard(key: str) -> int:
    """By folder where the key is a path: the files of a batch lie together, so few shards are written."""
    return zlib.crc32(key.rpartition("/")[0].encode("utf-8", "surrogateescape") or key[:1].encode()) % _SHARDS
