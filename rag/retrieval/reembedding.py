"""Another embedding model for a collection: its chunks are embedded into a shadow beside it, which then takes its place.

Readers of the old one go on until the change. A run that was cut off goes on where it was: documents the shadow has are not embedded again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.errors import CollectionMismatch, UsageError
from rag.protocols import Vectors
from rag.retrieval.fields import Fields
from rag.storage.collection import Collection
from rag.storage.home import Home
from rag.storage.snapshot import Snapshot
from rag.types import Chunk

SHADOW = "{name}.reembed"
_BATCH = 64  # documents of one commit


def reembed(home: Home, name: str, fields: Fields, progress: Callable[[int, int], None] | None = None) -> int:
    """Embeds every live document of the collection anew with `fields` and swaps it in; the chunks embedded.

    The history of the collection starts anew. Raises NotFound, CollectionLocked, CollectionMismatch.
    """
    shadow_name = SHADOW.format(name=name)
    source = home.open(name, any_tokenizer=True)
    try:
        if source.card == fields.card:
            raise UsageError(f"collection {name}: it has this model already; choose another one with --fields")
        with source.writer():  # so that nothing is added that the shadow would miss
            shadow = home.open(shadow_name) if home.exists(shadow_name) else home.create(shadow_name, fields.card)
            try:
                if shadow.card != fields.card:
                    raise CollectionMismatch(
                        f"collection {shadow_name}: left over from another model; remove it with `rag collections remove {shadow_name}`"
                    )
                embedded = _copy(source, shadow, fields, progress)
            finally:
                shadow.close()
    finally:
        source.close()
    home.replace(name, shadow_name)
    return embedded


def _copy(source: Collection, shadow: Collection, fields: Fields, progress: Callable[[int, int], None] | None) -> int:
    snapshot = source.snapshot()
    infos = snapshot.documents()
    there = {i.document: i.content_hash for i in shadow.snapshot().documents()}
    missing = [i for i in infos if there.get(i.document) != i.content_hash]
    same = source.card.fields == shadow.card.fields  # then only the tokens are new
    embedded = 0
    with shadow.writer() as writer:
        for gone in there.keys() - {i.document for i in infos}:
            writer.remove(gone)
        for start in range(0, len(missing), _BATCH):
            for info in missing[start : start + _BATCH]:
                document = snapshot.document(info.document)
                held = snapshot.document_chunks(info.document)
                chunks = [replace(c, id=-1) for c in held]
                if same:
                    vectors = _stored(snapshot, held)
                    for digest, codes in snapshot.token_codes([c.content_hash for c in held]).items():
                        writer.put_codes(digest, codes)
                else:
                    vectors = fields.embed(chunks, codes=writer.put_codes)
                writer.put(document, chunks, vectors)
                embedded += len(chunks)
            writer.commit("re-embedded")
            if progress is not None:
                progress(min(start + _BATCH, len(missing)), len(missing))
        for info in infos:
            writer.set_groups(info.document, info.groups)
        writer.commit("groups")
    return embedded


def _stored(snapshot: Snapshot, chunks: Sequence[Chunk]) -> dict[str, tuple[NDArray[np.int64], Vectors]]:
    found = {}
    for field in snapshot.card.names:
        vectors = snapshot.vectors(field, [c.id for c in chunks])
        held = np.flatnonzero(~np.isnan(vectors).any(axis=1))
        found[field] = (held, vectors[held])
    return found
