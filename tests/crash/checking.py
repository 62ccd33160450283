"""The oracle: is the store exactly what was acknowledged, whole, and of one mind?"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np

from rag.storage.home import Home
from tests.crash.workload import NAME, observed, possible_states
from tests.rag.storage.stores import DIM

COMMON = "common"  # every chunk has this word


def problems(folder: Path, log: Path) -> list[str]:
    """Lost, phantom or duplicate documents, indexes that disagree, files that do not verify. Empty when all is well."""
    found = [f"log: {line}" for line in _wrong(log)]
    home = Home(folder)
    states = possible_states(log)
    if not home.exists(NAME):
        return found if {} in states else [*found, "lost: the whole collection"]
    collection = home.open(NAME)
    try:
        found += [f"verify: {p}" for p in collection.verify()]
        state = observed(collection)
        if state not in states:
            closest = min(states, key=lambda s: len(set(s) ^ set(state)))
            found += [f"lost: {d}" for d in closest if d not in state]
            found += [f"phantom: {d}" for d in state if d not in closest]
            found += [f"wrong content: {d}" for d in state if d in closest and state[d] != closest[d]]
        snapshot = collection.snapshot()
        names = Counter(i.document for i in snapshot.documents())
        found += [f"duplicate: {d}" for d, n in names.items() if n > 1]
        everything = snapshot.allowed(None)
        rows = sorted(c.id for d in names for c in snapshot.document_chunks(d))
        expected = sum(len(text.split("\n")) for text, _ in state.values())
        keyword = sorted(snapshot.keyword([COMMON], everything, 10**6).ids.tolist())
        dense = sorted(snapshot.dense("toy", np.ones(DIM, np.float32), everything, 10**6).ids.tolist())
        if not rows == keyword == dense or len(rows) != expected:
            found.append(
                f"ids: {len(rows)} rows, {len(keyword)} in the keyword index, {len(dense)} in faiss, {expected} expected"
            )
        held = [c for d in names for c in snapshot.document_chunks(d)]
        codes = snapshot.token_codes([c.content_hash for c in held])
        found += [f"token codes of chunk {c.id}" for c in held if codes.get(c.content_hash) != c.text.encode()]
        # And it must still take a change.
        with collection.writer() as writer:
            writer.commit()
    finally:
        collection.close()
    return found


def _wrong(log: Path) -> list[str]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [line[:200] for line in lines if json.loads(line)["event"] == "wrong"]
