"""How near each sentence of the hits is to the question, by the collection's own embedders: what words cannot tell (a paraphrase, another
language) when the sentences are chosen that the model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.index.language import detect
from rag.protocols import Embedder, Vectors
from rag.retrieval.fields import holds
from rag.retrieval.kept import Kept
from rag.types import Hit

KEPT = 3000  # vectors of sentences, about 5 MB: who asked about a document often asks again
ASKED = (
    100  # vectors of questions: each is held against the sentences that are read and then against those that are quoted
)
LONGEST = 400  # characters of a sentence that are embedded

# Cosines of a question with the quote of a wrong answer and of a right one, by model: about the lower quartile and the upper half over
# corpus/golden. A model that is not named here leaves `nearness` undecided.
SCALE: Mapping[str, tuple[float, float]] = {
    "bge-small-zh-v1.5": (0.55, 0.72),
    "bge-small-en-v1.5": (0.6, 0.78),
    "multilingual-e5-small": (0.8, 0.86),
}
UNDECIDED = 0.5


class Relevance(Protocol):
    """How near sentences are to a question."""

    def __call__(self, question: str, sentences: Sequence[tuple[Hit, str]]) -> NDArray[np.float64]:
        """(n,) deviations of each sentence above the mean of those in its language; 0 where there is nothing to compare."""
        ...

    def nearness(self, question: str, hit: Hit, sentence: str) -> float:
        """0 for a sentence about something else, 1 for one that speaks of what is asked, 0.5 where that cannot be told."""
        ...


class SentenceRelevance:
    """Relevance by cosines. Thread-safe."""

    def __init__(self, languages: Mapping[str, Sequence[str]], embedders: Mapping[str, Embedder]) -> None:
        """`languages` of each vector field, as on the collection's card; `embedders` by field."""
        self._languages = languages
        self._embedders = embedders
        self._kept: Kept[tuple[str, str], Vectors] = Kept(KEPT)
        self._asked: Kept[tuple[str, str], Vectors] = Kept(ASKED)

    def __call__(self, question: str, sentences: Sequence[tuple[Hit, str]]) -> NDArray[np.float64]:
        out = np.zeros(len(sentences))
        asked = detect(question)
        by_field: dict[str, list[int]] = {}
        for i, (hit, _) in enumerate(sentences):
            field = self._field(asked, hit.chunk.language)
            if field is not None:
                by_field.setdefault(field, []).append(i)
        for field, members in by_field.items():
            texts = [_in_context(*sentences[i]) for i in members]
            cosines = (self._vectors(field, texts) @ self._question(field, question)).astype(np.float64)
            if len(members) > 1:
                out[members] = (cosines - cosines.mean()) / (cosines.std() + 0.01)
        return out

    def nearness(self, question: str, hit: Hit, sentence: str) -> float:
        """See Relevance."""
        field = self._field(detect(question), hit.chunk.language)
        scale = SCALE.get(self._embedders[field].name) if field is not None else None
        if field is None or scale is None:
            return UNDECIDED
        vector = self._vectors(field, [_in_context(hit, sentence)])[0]
        cosine = float(vector @ self._question(field, question))
        return min(max((cosine - scale[0]) / (scale[1] - scale[0]), 0.0), 1.0)

    def _field(self, asked: str, language: str) -> str | None:
        """The field that compares the two languages; one made for a single language where it does."""
        able = [f for f, held in self._languages.items() if holds(held, asked) and holds(held, language)]
        return min(able, key=lambda f: "*" in self._languages[f], default=None)

    def _vectors(self, field: str, texts: Sequence[str]) -> Vectors:
        def made(missing: list[tuple[str, str]]) -> Vectors:
            return self._embedders[field].embed_passages([text for _, text in missing])

        return np.stack(self._kept.of([(field, t) for t in texts], made))

    def _question(self, field: str, text: str) -> Vectors:
        def made(missing: list[tuple[str, str]]) -> list[Vectors]:
            return [self._embedders[field].embed_question(t) for _, t in missing]

        return self._asked.of([(field, text)], made)[0]


def _in_context(hit: Hit, sentence: str) -> str:
    return f"{hit.chunk.context or hit.title}\n{sentence[:LONGEST]}"
