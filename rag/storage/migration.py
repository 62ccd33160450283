"""Older collections are brought to the format of this program when they are opened: all steps in one transaction, or none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rag.errors import CollectionLocked, CollectionMismatch
from rag.storage.card import FORMAT_VERSION
from rag.storage.layout import WRITER_LOCK
from rag.storage.locks import exclusive

if TYPE_CHECKING:
    from rag.storage.collection import Collection

# From this format to the next one.
STEPS: Mapping[int, str] = {
    # 2: counting what is alive after each commit looked through every life there had ever been.
    1: "DROP INDEX lives_removed; CREATE INDEX lives_alive ON lives (version) WHERE removed IS NULL;",
    # 3: token codes. What was read before has none, and is reranked without them.
    2: "CREATE TABLE token_codes (content_hash TEXT PRIMARY KEY, codes BLOB NOT NULL);",
}


def migrate(collection: Collection) -> None:
    """Does nothing for a collection of today's format.

    Raises CollectionMismatch for a newer one, CollectionLocked while another process writes to an older one.
    """
    db = collection.database
    version = json.loads(db.value("SELECT value FROM meta WHERE key = 'card'"))["format_version"]
    if version > FORMAT_VERSION:
        raise CollectionMismatch(
            f"collection {collection.name}: its format is {version}, this program reads up to {FORMAT_VERSION}; update ragbase"
        )
    if version == FORMAT_VERSION:
        return
    with exclusive(collection.folder / WRITER_LOCK) as holder:
        if holder is not None:
            raise CollectionLocked(
                f"collection {collection.name}: it must be brought from format {version} to {FORMAT_VERSION}, but process"
                f" {holder} is writing to it; wait until it is done"
            )
        with collection.change():
            # Another process may have been faster.
            version = json.loads(db.value("SELECT value FROM meta WHERE key = 'card'"))["format_version"]
            for step in range(version, FORMAT_VERSION):
                db.script(STEPS[step])
            db.run(
                "UPDATE meta SET value = json_set(value, '$.format_version', ?) WHERE key = 'card'", (FORMAT_VERSION,)
            )
