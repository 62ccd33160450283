"""The guard between training and reporting: is a question we report on one that the adapter was trained on?

A question is given away by a training example that reads the same, or whose n-grams overlap so much that it is a rewording, and
that teaches its answer. With an embedder, a rewording with other words is found too. A question whose answer has changed since is
not given away: what was trained is wrong now, and to see that is the point of the changed facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.golden import GoldenQuestion
from eval.lora.examples import TEXT, Example
from eval.text_metrics import states, tokens
from rag.protocols import Embedder

WIDTH = 3  # tokens of an n-gram: three Chinese characters or three words
OVERLAP = 0.6  # Jaccard index of the n-grams from which a rewording is assumed
COSINE = 0.95  # of the questions' vectors, likewise


@dataclass(frozen=True, slots=True)
class Leak:
    """A question to report on, and the training instruction it repeats."""

    question: str  # GoldenQuestion.id
    trained: str  # the instruction
    how: str  # "same", "n-gram 0.83", "cosine 0.97"


def normal(text: str) -> str:
    """The text as the guard compares it."""
    return " ".join(tokens(text))


def find_leaks(
    questions: Sequence[GoldenQuestion], trained: Sequence[Example], embedder: Embedder | None = None
) -> list[Leak]:
    """The questions that training examples give away, in the order of the questions. Without `embedder` the comparison is by
    words alone."""
    trained = [e for e in trained if e.kind != TEXT]
    if not trained:
        return []
    same = {normal(_asked(e.instruction, e.input)): e for e in trained}
    plain = {normal(e.instruction): e for e in trained if not e.input}
    grams = [_grams(e.instruction) for e in trained]
    near = _nearest(questions, trained, embedder) if embedder is not None else None
    leaks: list[Leak] = []
    for i, q in enumerate(questions):
        found = same.get(normal(_asked(q.question, q.context))) or plain.get(normal(q.question))
        if found is not None:
            if _share_an_answer(q, found):
                leaks.append(Leak(q.id, found.instruction, "same"))
            continue
        mine = _grams(q.question)
        overlaps = [len(mine & g) / max(1, len(mine | g)) for g in grams]
        best = int(np.argmax(overlaps))
        if overlaps[best] >= OVERLAP and _share_an_answer(q, trained[best]):
            leaks.append(Leak(q.id, trained[best].instruction, f"n-gram {overlaps[best]:.2f}"))
        elif near is not None and near[i][1] >= COSINE and _share_an_answer(q, trained[near[i][0]]):
            leaks.append(Leak(q.id, trained[near[i][0]].instruction, f"cosine {near[i][1]:.2f}"))
    return leaks


def overlap(a: str, b: str) -> float:
    """Jaccard index of the n-grams of two questions, 0..1; from `OVERLAP` on one is a rewording of the other."""
    mine, other = _grams(a), _grams(b)
    return len(mine & other) / max(1, len(mine | other))


def _nearest(
    questions: Sequence[GoldenQuestion], trained: Sequence[Example], embedder: Embedder
) -> list[tuple[int, float]]:
    """Per question the nearest training instruction and its cosine. Both sides are embedded alike, as passages: they are
    texts of one kind."""
    a = embedder.embed_passages([q.question for q in questions])
    b = embedder.embed_passages([e.instruction for e in trained])
    cosines = a @ b.T
    best = cosines.argmax(axis=1)
    return [(int(j), float(cosines[i, j])) for i, j in enumerate(best)]


def _asked(instruction: str, context: str) -> str:
    return f"{instruction}\n{context}" if context else instruction


def _grams(text: str) -> set[tuple[str, ...]]:
    t = tokens(text)
    return {tuple(t[i : i + WIDTH]) for i in range(max(1, len(t) - WIDTH + 1))}


def _share_an_answer(q: GoldenQuestion, example: Example) -> bool:
    """Whether the example teaches the question's answer. Without a gold answer, the wording alone decides."""
    if not q.facts:
        return True
    return any(states(example.output, w) or states(w, example.output) for fact in q.facts for w in fact)
