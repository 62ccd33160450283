"""Where a document was lost that a caller expected among the hits. Looks only at what the caller may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.retrieval.candidates import Found, Fused
from rag.retrieval.diversity import Dropped
from rag.retrieval.pool import DEPTH
from rag.storage.snapshot import Allowed, Snapshot
from rag.types import Hit, SearchRequest, StageScore


@dataclass(frozen=True, slots=True)
class Search:
    """What a search went through."""

    fused: Sequence[Fused]
    found: Sequence[Found]  # after everything, best first
    losses: Mapping[int, Dropped]  # chunk -> why it was dropped
    hits: Sequence[Hit]


def reason(
    request: SearchRequest, document: str, snapshot: Snapshot, allowed: Allowed, search: Search
) -> dict[str, object]:
    """At which stage the document (id, path, name or title) was lost, its standing until there, and why; as JSON."""
    known = snapshot.find(document, request.groups)
    if known is None:
        return _not_visible(document)
    info = snapshot.info([known])[0]
    said: dict[str, object] = {"document": known, "path": info.path}
    ranks = [h.rank for h in search.hits if h.chunk.document == known]
    if ranks:
        return said | {"stage": "found", "rank": ranks[0], "reason": f"it is hit {ranks[0]}"}
    ids = np.array([c.id for c in snapshot.document_chunks(known, request.groups)], np.int64)
    ids = ids[allowed.contains(ids)] if len(ids) else ids
    if not len(ids):
        return said | {"stage": "filter", "reason": f"it does not match the filter {request.filter!r}"}
    lost = [search.losses[int(i)] for i in ids if int(i) in search.losses]
    if lost:
        by = snapshot.info([lost[0].by])[0].path
        why = {
            "superseded": f"{by} is its newer version",
            "duplicate": f"{by} has almost the same text",
            "document": "enough passages of this document are among the hits",
        }[lost[0].reason]
        return said | {"stage": lost[0].reason, "reason": why, "by": by}
    best = _best_standing(search.fused, ids)
    if best is None:
        depth = max(DEPTH, 2 * request.k)
        lists = ", ".join(search.fused[0].pool.signals)
        return said | {"stage": "candidates", "reason": f"no passage of it is among the best {depth} of {lists}"}
    said["stages"] = {name: {"rank": s.rank, "score": s.score} for name, s in best.items()}
    place = next((i for i, f in enumerate(search.found, 1) if f.chunk.document == known), None)
    stage = "rerank" if "rerank" in best else "fusion"
    if place is not None:
        stages = next(f.stages for f in search.found if f.chunk.document == known)
        stage = "rerank" if "rerank" in stages and best["fusion"].rank <= request.k else "fusion"
        return said | {"stage": stage, "reason": f"its best passage came {place}., and {request.k} hits were asked for"}
    return said | {"stage": stage, "reason": f"its best passage came {best['fusion'].rank}. of the fused candidates"}


def _best_standing(fused: Sequence[Fused], ids: NDArray[np.int64]) -> Mapping[str, StageScore] | None:
    standing = [f.stages(int(at)) for f in fused for at in np.flatnonzero(np.isin(f.pool.ids, ids, assume_unique=True))]
    return min(standing, key=lambda s: s["fusion"].rank, default=None)


def _not_visible(document: str) -> dict[str, object]:
    """The one answer for a document that does not exist and for one that the caller may not see."""
    return {
        "document": document,
        "stage": "collection",
        "reason": "no document of this id, path, name or title is visible to this caller",
    }
