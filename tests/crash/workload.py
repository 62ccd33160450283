"""A random but repeatable history of a collection, with an acknowledgement log kept outside the store.

The log has, for every change, first what the collection will hold after it, then, when the store has returned, that it was acknowledged.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import CollectionLocked, RagError
from rag.storage.collection import Collection
from rag.storage.home import Home
from tests.rag.storage.stores import CARD, parts

NAME = "default"
WORDS = [
    "valve",
    "ledger",
    "orchard",
    "canal",
    "turbine",
    "lantern",
    "harbor",
    "quartz",
    "saddle",
    "meadow",
    "pigment",
    "ferry",
    "compass",
    "anvil",
    "thicket",
]
State = dict[str, list[Any]]  # document -> [text, groups]


@dataclass
class Log:
    """One JSON line an event; what was appended survives the death of the process."""

    path: Path
    _fd: int = field(init=False)

    def __post_init__(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, event: str, state: State | None = None) -> None:
        os.write(self._fd, (json.dumps({"event": event, "state": state}) + "\n").encode())


def possible_states(path: Path) -> list[State]:
    """What the store may hold: the last acknowledged state, or the one whose change was under way or failed since."""
    states: list[State] = [{}]
    for line in path.read_text().splitlines() if path.exists() else ():
        entry = json.loads(line)
        if entry["event"] == "intent":
            states.append(entry["state"])
        else:  # "ack", or "seen": what was found after a failed change
            states = [entry["state"]]
    return states


def run(home: Home, log: Log, seed: int, steps: int) -> None:
    """The history. A change that the store refuses with an error of ours is logged as such, and the history goes on."""
    rng = random.Random(seed)
    collection = home.open(NAME) if home.exists(NAME) else home.create(NAME, CARD)
    try:
        state = observed(collection)
        log.add("seen", state)
        past: dict[int, State] = {collection.generation: state}
        for number in range(steps):
            try:
                state = _step(collection, log, rng, state, past, f"{seed}.{number}")
                past[collection.generation] = state
            except CollectionLocked:
                raise
            except RagError:
                state = observed(collection)
                log.add("checked", state) if state in possible_states(log.path) else log.add("wrong", state)
            if rng.random() < 0.2:
                collection.close()
                collection = home.open(NAME)
    finally:
        collection.close()


def observed(collection: Collection) -> State:
    """What the collection holds now."""
    snapshot = collection.snapshot()
    return {i.document: [snapshot.document(i.document).text, sorted(i.groups)] for i in snapshot.documents()}


def _step(
    collection: Collection, log: Log, rng: random.Random, state: State, past: dict[int, State], tag: str
) -> State:
    kind = rng.choices(["put", "remove", "groups", "rollback", "compact", "forget", "setting"], [8, 3, 2, 2, 2, 1, 1])[
        0
    ]
    after: State = {d: list(v) for d, v in state.items()}
    if kind in ("remove", "groups") and not state:
        kind = "put"
    if kind in ("compact", "forget", "setting"):
        log.add("intent", state)
        if kind == "setting":
            collection.set_setting("calibration", {"tag": tag})
        else:
            collection.compact(keep=None if kind == "compact" else 3)
            if kind == "forget":
                oldest = collection.generations()[0].generation
                for generation in [g for g in past if g < oldest]:
                    del past[generation]
        log.add("ack", state)
        return state
    if kind == "rollback":
        generation = rng.choice(sorted(past))
        after = {d: [text, state.get(d, [None, groups])[1]] for d, (text, groups) in past[generation].items()}
        # Groups are not part of history: a document that is back has those it had last.
        known = _groups(collection)
        after = {d: [text, known[d]] for d, (text, _) in after.items()}
        log.add("intent", after)
        collection.rollback(generation)
        log.add("ack", after)
        return after
    with collection.writer() as writer:
        if kind == "put":
            for _ in range(rng.randint(1, 4)):
                name = rng.choice(sorted(after)) if after and rng.random() < 0.3 else f"d{rng.randint(0, 999)}"
                lines = [f"common {tag} " + " ".join(rng.choices(WORDS, k=8)) for _ in range(rng.randint(1, 5))]
                groups = rng.choice([["public"], ["hr"], ["eng", "hr"]])
                after[name] = ["\n".join(lines), groups]
                document, chunks, vectors = parts(name, "\n".join(lines), groups)
                writer.put(document, chunks, vectors)
                for chunk in chunks:
                    writer.put_codes(chunk.content_hash, chunk.text.encode())
        elif kind == "remove":
            for name in rng.sample(sorted(after), rng.randint(1, min(3, len(after)))):
                del after[name]
                writer.remove(name)
        else:
            name = rng.choice(sorted(after))
            after[name][1] = ["board"]
            writer.set_groups(name, frozenset({"board"}))
        log.add("intent", after)
        writer.commit()
        log.add("ack", after)
    return after


def _groups(collection: Collection) -> dict[str, list[str]]:
    return {d: json.loads(g) for d, g in collection.database.rows("SELECT document, groups FROM documents")}
