"""When to refuse, learnt from the collection itself: questions made from its own passages, once with the passage in reach and once
with its document hidden, so that the right answer is known to be a refusal.

The signals of the answers become a confidence by logistic regression; the risk-coverage curve (El-Yaniv and Wiener 2010)
says for every threshold how many questions are answered and how many of the answers are wrong.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import UsageError
from rag.generation.answering import GroundedAnswerer, answer
from rag.generation.evidence import Evidence, check
from rag.generation.facts import facts
from rag.generation.prompting import disarmed, prompt_language
from rag.generation.refusal import DEFAULT_BIAS, DEFAULT_WEIGHTS, Signals
from rag.generation.relevance import Relevance
from rag.generation.sentences import sentence_spans
from rag.protocols import Generator, Retriever
from rag.settings import Settings
from rag.storage.collection import Collection
from rag.types import AskRequest, Chunk, Message, SearchRequest, SearchResult, TextDelta

_ASK = {
    "en": "Text from “{title}”:\n{text}\n\nWrite one short question that this text answers. Name what it is about. Question:",
    "zh": "《{title}》的一段文字：\n{text}\n\n根据这段文字提出一个简短的问题，问题里要写明所问的对象。问题：",
}
_ALWAYS = {"threshold": 0.0}  # a calibration that refuses nothing by itself
PRIOR = 12.0  # strength of the shipped weights against what is learnt, in answers


@dataclass(frozen=True, slots=True)
class Question:
    """A question made from a chunk of the collection."""

    text: str
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one question. `right`: a supported answer from the passage it was made of, or a refusal without it."""

    answerable: bool
    answered: bool
    right: bool
    signals: Signals | None  # None when the model itself refused


def make_questions(
    collection: Collection, generator: Generator, n: int, seed: int, progress: Callable[[str], None] = lambda _: None
) -> list[Question]:
    """Up to `n` questions over different documents, each written by the model from a passage with a hard fact in it."""
    snapshot = collection.snapshot()
    rng = random.Random(seed)
    documents = sorted(snapshot.documents(None), key=lambda d: d.document)
    rng.shuffle(documents)
    made: list[Question] = []
    for document in documents * 3:
        if len(made) >= n:
            break
        chunks = [c for c in snapshot.document_chunks(document.document) if _has_a_fact(c)]
        chunks = [c for c in chunks if all(q.chunk.id != c.id for q in made)]
        if not chunks:
            continue
        chunk = rng.choice(chunks)
        asked = _question(chunk, generator)
        if asked:
            made.append(Question(asked, chunk))
            progress(f"question {len(made)} of {n}: {asked}")
    return made


def try_questions(
    questions: Sequence[Question],
    collection: Collection,
    retriever: Retriever,
    generator: Generator,
    settings: Settings,
    progress: Callable[[str], None] = lambda _: None,
    relevance: Relevance | None = None,
) -> list[Trial]:
    """Each question asked twice: as it is, and with every passage of its document hidden."""
    trials: list[Trial] = []
    for i, question in enumerate(questions, 1):
        for answerable in (True, False):
            seen: list[Signals] = []
            shown = retriever if answerable else _Without(retriever, question.chunk.document, question.chunk.text)
            answerer = GroundedAnswerer(
                Uncalibrated(),
                shown,
                generator,
                settings,
                relevance=relevance,
                on_signals=seen.append,
            )
            said = answer(answerer, AskRequest(SearchRequest(question.text)))
            answered = said.status == "answered" and bool(seen)
            right = not answered
            if answerable:
                source = Evidence(1, question.chunk.text, question.chunk.context)
                right = answered and any(
                    check(s.text, [1], [source], question=question.text, repair=False)[0] == "supported"
                    for s in said.sentences
                )
            trials.append(Trial(answerable, answered, right, seen[0] if answered else None))
        progress(f"asked {i} of {len(questions)}")
    return trials


def fit(trials: Sequence[Trial]) -> dict[str, Any]:
    """Weights, threshold and risk-coverage curve as they are stored with the collection.

    Raises UsageError when there are too few answers to learn from.
    """
    answered = [t for t in trials if t.signals is not None]
    if len(answered) < 10:
        raise UsageError(
            f"only {len(answered)} of {len(trials)} questions were answered, too few to calibrate; add documents or ask for more questions"
        )
    names = list(DEFAULT_WEIGHTS)
    x = np.array([[getattr(t.signals, name) for name in names] + [1.0] for t in answered])
    y = np.array([float(t.right) for t in answered])
    prior = np.array([*DEFAULT_WEIGHTS.values(), DEFAULT_BIAS])
    w = logistic(x, y, prior, np.full(len(prior), 1 / PRIOR))
    confidence = 1 / (1 + np.exp(-(x @ w)))
    curve = risk_coverage(confidence.tolist(), [t.right for t in answered], len(trials))
    # The default point answers what is more likely right than wrong, as far as the data can tell.
    best = max(curve, key=lambda point: (point["right"] - point["wrong_answers"], point["threshold"]))
    return {
        "weights": dict(zip(names, w[:-1].tolist(), strict=True)),
        "bias": float(w[-1]),
        "threshold": min(best["threshold"], 0.9),
        "curve": curve,
        "questions": len(trials),
        "answered": len(answered),
    }


def logistic(
    x: NDArray[np.float64], y: NDArray[np.float64], prior: NDArray[np.float64], precision: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(k,) weights of a logistic regression of `y` (n,) on `x` (n, k), drawn towards `prior` (k,) as strongly as `precision` (k,) says,
    by Newton's method."""
    w = prior.copy()
    for _ in range(60):
        p = 1 / (1 + np.exp(-(x @ w)))
        gradient = x.T @ (p - y) + precision * (w - prior)
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + np.diag(precision), gradient)
        w = w - step
        if np.abs(step).max() < 1e-8:
            break
    return w


def risk_coverage(confidence: Sequence[float], right: Sequence[bool], asked: int) -> list[dict[str, float]]:
    """For each threshold, lowest first: share of the `asked` questions that are answered, and share of wrong ones among those."""
    curve = []
    for threshold in sorted(set(confidence)):
        kept = [r for c, r in zip(confidence, right, strict=True) if c >= threshold]
        wrong = kept.count(False)
        curve.append(
            {
                "threshold": float(threshold),
                "coverage": len(kept) / asked,
                "wrong": wrong / len(kept),
                "right": float(len(kept) - wrong),
                "wrong_answers": float(wrong),
            }
        )
    return curve


def signals_of(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The trials as rows, for reports."""
    return [
        {
            "answerable": t.answerable,
            "answered": t.answered,
            "right": t.right,
            **(asdict(t.signals) if t.signals else {}),
        }
        for t in trials
    ]


class _Without:
    """A retriever that finds nothing of one document, nor a copy of one passage."""

    def __init__(self, inner: Retriever, document: str, text: str) -> None:
        self._inner = inner
        self._document = document
        self._text = text

    def search(self, request: SearchRequest) -> SearchResult:
        from dataclasses import replace

        result = self._inner.search(replace(request, k=min(request.k * 3, 1000)))
        kept = [h for h in result.hits if h.chunk.document != self._document and h.chunk.text != self._text]
        return replace(result, hits=tuple(kept[: request.k]))


class Uncalibrated:
    """Stands for a collection whose stored calibration is not to be used while a new one is made."""

    def get_setting(self, key: str) -> Any:
        return _ALWAYS if key == "calibration" else None


def _has_a_fact(chunk: Chunk) -> bool:
    return any(
        (f := facts(chunk.text[a:b])).quantities or f.dates or f.names or f.identifiers
        for a, b in sentence_spans(chunk.text)[:12]
    )


def _question(chunk: Chunk, generator: Generator) -> str | None:
    language = prompt_language(chunk.text)
    content = _ASK[language].format(title=disarmed(chunk.title), text=disarmed(chunk.text)[:700])
    said = ""
    for event in generator.stream([Message("user", content)], max_tokens=48, stop=["\n"]):
        if isinstance(event, TextDelta):
            said += event.text
    said = re.sub(r"^(?:Question|问题)\s*[:：]\s*", "", said.strip().strip('"“”'))
    whole = said.endswith(("?", "？")) and len(said) >= 6
    return said if whole and prompt_language(said) == language else None
