"""How sure an answer is, from what is known without a further model call, and from when on it is refused (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rag.generation.facts import facts
from rag.generation.prompting import prompt_language
from rag.generation.quoting import question_weights
from rag.generation.wording import content_terms
from rag.index.tokenization import fold
from rag.types import Hit, Span


@dataclass(frozen=True, slots=True)
class Signals:
    """What speaks for and against an answer; each 0..1."""

    coverage: float  # of the question's words by the sources; names and numbers count threefold
    supported: float  # share of sentences that are supported
    partly: float
    kind: float = (
        1.0  # 0 when the answer lacks the kind of fact that is asked for (a figure, a date, a name), or says nothing
    )
    aim: float = 1.0  # coverage of the question's words by the sentences that are quoted, and their headings
    near: float = 0.5  # nearness of the question to those sentences by the collection's embedders
    doubt: float = 0.5  # the chance that the model, told that it may, says that the sources do not answer; 0.5 where it cannot be asked
    confirmed: float = (
        0.5  # the chance that the model, shown only what is cited, says that it says so; 0.5 where it is not asked
    )


# Fitted on answers to 144 questions of corpus/golden, 41 of them without an answer in the documents, "confirmed" added later to all 243; what
# is more likely than about three to one to be wrong is refused (docs/bench/answers.md).
DEFAULT_WEIGHTS = {
    "aim": 0.3,
    "coverage": 0.8,
    "supported": 1.4,
    "partly": 1.4,
    "kind": 0.6,
    "near": 1.1,
    "doubt": -3.4,
    "confirmed": 2.0,
}
DEFAULT_BIAS = -2.7
DEFAULT_THRESHOLD = 0.25
FOREIGN = 0.6  # coverage that a source in another language is taken to have


def question_coverage(question: str, hits: Sequence[Hit]) -> float:
    """Share of what the question asks about that the sources speak of at all, 0..1. Where a source in another language is among
    them its words cannot be compared, and it is not held against the answer: 0.6 at least."""
    if not hits:
        return 0.0
    language = prompt_language(question)
    texts = [fold(f"{h.chunk.context} {h.chunk.text}") for h in hits if prompt_language(h.chunk.text) == language]
    if not texts:
        return FOREIGN
    words = question_weights(question, facts(question))
    if not words:
        return FOREIGN
    floor = FOREIGN if len(texts) < len(hits) else 0.0
    return max(_share(words, " ".join(texts)), floor)


def question_aim(question: str, hit: Hit, quote: Span) -> float:
    """Share of what the question asks about that a quoted sentence and its headings speak of, 0..1. A short answer may be true in a
    sentence about something else, which the share of all sources does not tell."""
    said = hit.chunk.text[slice(*quote)]
    words = question_weights(question, facts(question))
    if not words or prompt_language(said) != prompt_language(question):
        return FOREIGN
    return _share(words, fold(f"{hit.chunk.context or hit.title} {said}"))


def _share(words: Mapping[str, float], text: str) -> float:
    """Share of the weighted words that stand in a folded text."""
    terms = {*content_terms(text), *text.replace("-", "").split()}
    return sum(w for t, w in words.items() if t in terms or t in text) / sum(words.values())


def confidence_of(signals: Signals, calibration: Mapping[str, Any] | None) -> float:
    """0..1: the chance that the answer is right, by logistic regression over the signals."""
    weights = (calibration or {}).get("weights", DEFAULT_WEIGHTS)
    bias = (calibration or {}).get("bias", DEFAULT_BIAS)
    z = bias + sum(weights.get(name, 0.0) * value for name, value in asdict(signals).items())
    return 1 / (1 + math.exp(-z))


def decides(signals: Signals, name: str, calibration: Mapping[str, Any] | None, threshold: float) -> bool:
    """Whether the signal `name`, whatever its value, can still carry the answer across the threshold."""
    least, most = sorted(confidence_of(replace(signals, **{name: value}), calibration) for value in (0.0, 1.0))
    return least < threshold <= most


def threshold_of(calibration: Mapping[str, Any] | None, max_wrong: float) -> float:
    """Confidence below which an answer is refused. With `max_wrong` and a stored curve: the lowest one that keeps the share of
    wrong answers within it."""
    if calibration and max_wrong > 0:
        for point in calibration.get("curve", ()):
            if point["wrong"] <= max_wrong:
                return float(point["threshold"])
        return 1.0
    if calibration:
        return float(calibration.get("threshold", DEFAULT_THRESHOLD))
    return DEFAULT_THRESHOLD
