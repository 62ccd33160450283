"""The two ways that RGB's questions are answered from given documents: the service's own answering, and the plain prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eval.arms import generated
from eval.given import status_of
from eval.golden import GoldenQuestion
from eval.plain_chain import PROMPT, TOKENS
from eval.robustness import Case
from rag.generation.answering import GroundedAnswerer
from rag.generation.answering import answer as drained
from rag.generation.calibration import Uncalibrated
from rag.generation.relevance import SentenceRelevance
from rag.generation.similarity import sentence_similarity
from rag.protocols import Generator
from rag.retrieval.fields import card, open_fields
from rag.settings import Settings
from rag.types import AskRequest, Chunk, Hit, Message, SearchRequest, SearchResult


@dataclass(frozen=True, slots=True)
class Probe:
    """One question over given documents, and the measure that its answer counts for."""

    key: str
    measure: str
    case: Case
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What an arm made of a probe."""

    text: str
    refused: bool  # by the arm itself
    confidence: float | None = None  # 0..1, for arms that tell it: below a threshold the answer counts as refused


Say = Callable[[Probe], Said]


def rag(generator: Generator, settings: Settings, seed: int) -> Say:
    """The service's answering with the embedders of the settings, over given documents in the place of what a search found. Nothing is
    refused for want of confidence: the threshold is the report's."""
    fields = open_fields(card(settings), settings, lasting=True)
    languages = {f.name: f.languages for f in fields.card.fields}
    relevance = SentenceRelevance(languages, fields.embedders)
    similarity = sentence_similarity(fields.embedders)

    def say(probe: Probe) -> Said:
        hits = tuple(_hit(n, text, probe.case.lang) for n, text in enumerate(probe.documents, 1))
        answerer = GroundedAnswerer(
            Uncalibrated(),
            _Given(hits),
            generator,
            settings,
            similarity=similarity,
            relevance=relevance,
            on_signals=lambda _: None,  # so that none is left out for not deciding at the shipped threshold
        )
        given = drained(answerer, AskRequest(SearchRequest(probe.case.question), seed=seed))
        return Said(given.text, given.status == "abstained", given.confidence or 0.0)

    return say


def plain(generator: Generator, seed: int) -> Say:
    """The plain prompt with the same documents stuffed in."""

    def say(probe: Probe) -> Said:
        prompt = PROMPT.format(context="\n\n".join(probe.documents), question=probe.case.question)
        question = GoldenQuestion(probe.key, probe.case.question)
        text = generated("plain", question, generator, [Message("user", prompt)], TOKENS, seed).text
        return Said(text, status_of(text) == "abstained")

    return say


class _Given:
    """A retriever that finds what it was given."""

    def __init__(self, hits: tuple[Hit, ...]) -> None:
        self._hits = hits

    def search(self, request: SearchRequest) -> SearchResult:
        return SearchResult(self._hits, 0, 0.0, request.question)


def _hit(n: int, text: str, lang: str) -> Hit:
    chunk = Chunk(n, f"document-{n}", text, (0, len(text)), language=lang)
    return Hit(chunk, 1.0 / n, n, "", f"document-{n}")
