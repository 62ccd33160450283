"""The systems that are compared: each answers one golden question.

base            the model alone
lora            the model with the adapter, alone
rag             this knowledge base, as the service answers
lora+rag        the same with the adapter in the model
oracle          rag, with the passages that hold the answer instead of a search
distractor      rag, with what a search finds besides them: the right answer is to refuse
plain           the tutorial's chain: 1,000 characters, overlap 200, top 4 stuffed into the prompt
rag:KNOB=VALUE  rag with other settings, e.g. rag:source_tokens=600,reranker=none
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from eval.given import Given, from_answer, status_of
from eval.golden import GoldenQuestion
from eval.passages import gold_hits, is_gold_hit
from eval.prompts import closed_book
from rag.generation.answering import answer as drained
from rag.protocols import Generator, Retriever
from rag.types import AskRequest, GenerationEnd, Message, SearchRequest, SearchResult, TextDelta

if TYPE_CHECKING:
    from rag.protocols import Answerer
    from rag.storage.collection import Collection
    from rag.wiring import Services

NAMES = ("base", "lora", "rag", "lora+rag", "oracle", "distractor", "plain")
NEEDS_ADAPTER = ("lora", "lora+rag")
NEEDS_NO_DOCUMENTS = ("base", "lora")
CLOSED_BOOK_TOKENS = 96  # the longest answer without documents: it is asked for a few words


class Arm(Protocol):
    """One system."""

    def ask(self, question: GoldenQuestion) -> Given: ...


class ClosedBook:
    """The model alone, with or without an adapter."""

    def __init__(self, name: str, generator: Generator, seed: int) -> None:
        self._name, self._generator, self._seed = name, generator, seed

    def ask(self, question: GoldenQuestion) -> Given:
        """What the model says by itself."""
        messages = [_message(m) for m in closed_book(question.question, question.lang, question.context)]
        return generated(self._name, question, self._generator, messages, CLOSED_BOOK_TOKENS, self._seed)


class Retrieved:
    """An answerer of the service: `rag` and its variants."""

    def __init__(self, name: str, answerer: Answerer, k: int, seed: int, groups: frozenset[str] | None) -> None:
        self._name, self._answerer, self._k, self._seed, self._groups = name, answerer, k, seed, groups

    def ask(self, question: GoldenQuestion) -> Given:
        """What the service answers."""
        request = AskRequest(SearchRequest(question.question, k=self._k, groups=self._groups), seed=self._seed)
        return from_answer(self._name, question, drained(self._answerer, request), memory_mb())


class OracleRetriever:
    """Gives the chunks that hold the answer instead of searching."""

    def __init__(self, collection: Collection, questions: Sequence[GoldenQuestion]) -> None:
        self._snapshot = collection.snapshot()
        self._questions = {q.question: q for q in questions}

    def search(self, request: SearchRequest) -> SearchResult:
        """The gold chunks; nothing for a question that has none."""
        hits = gold_hits(self._snapshot, self._questions[request.question])
        return SearchResult(tuple(hits[: request.k]), self._snapshot.generation, 0.0, request.question)


class DistractorRetriever:
    """Searches, and leaves out what holds the answer."""

    def __init__(self, inner: Retriever, questions: Sequence[GoldenQuestion]) -> None:
        self._inner = inner
        self._questions = {q.question: q for q in questions}

    def search(self, request: SearchRequest) -> SearchResult:
        """The best hits that are no gold: not of a gold document, and without the answer in them."""
        question = self._questions[request.question]
        found = self._inner.search(replace(request, k=min(1000, request.k + 20)))
        kept = [h for h in found.hits if not is_gold_hit(h, question)][: request.k]
        return replace(found, hits=tuple(replace(h, rank=n) for n, h in enumerate(kept, 1)))


def make_arm(
    name: str,
    questions: Sequence[GoldenQuestion],
    services: Services,
    generator: Generator,
    seed: int,
    *,
    groups: frozenset[str] | None = None,
) -> Arm:
    """The arm of this name; `generator` already carries the adapter for the arms that need one. For "rag:..." `services` are
    those with the changed settings."""
    if name in NEEDS_NO_DOCUMENTS:
        return ClosedBook(name, generator, seed)
    if name == "plain":
        from eval.plain_chain import PlainChain

        return PlainChain(name, services, generator, seed)
    retriever = services.retriever()
    if name == "oracle":
        retriever = OracleRetriever(services.collection(), questions)
    elif name == "distractor":
        retriever = DistractorRetriever(retriever, questions)
    answerer = services.answerer(generator=generator, retriever=retriever)
    return Retrieved(name, answerer, services.settings.k, seed, groups)


def generated(
    arm: str,
    question: GoldenQuestion,
    generator: Generator,
    messages: Sequence[Message],
    tokens: int,
    seed: int,
    *,
    offered: Sequence[str] = (),
    retrieve: float = 0.0,
) -> Given:
    """One generation as an answer, timed from the request; `retrieve` seconds were spent before."""
    started = time.monotonic()
    first: float | None = None
    parts: list[str] = []
    end = GenerationEnd("stop", 0, 0, 0)
    for event in generator.stream(messages, max_tokens=tokens, seed=seed):
        if isinstance(event, TextDelta):
            first = time.monotonic() - started if first is None else first
            parts.append(event.text)
        else:
            end = event
    total = time.monotonic() - started
    text = "".join(parts).strip()
    return Given(
        arm,
        question.id,
        text,
        status_of(text),
        offered=tuple(offered),
        retrieve=retrieve,
        first_token=retrieve + (first or total),
        total=retrieve + total,
        prompt_tokens=end.prompt_tokens,
        answer_tokens=end.answer_tokens,
        finish_reason=end.finish_reason,
        memory_mb=memory_mb(),
    )


def memory_mb() -> float:
    """Resident memory of this process, MB."""
    return round(psutil.Process().memory_info().rss / 1e6, 1)


def settings_changes(arm: str) -> dict[str, str]:
    """ "rag:k=5,reranker=none" -> {"k": "5", "reranker": "none"}; {} for every other arm."""
    kind, _, rest = arm.partition(":")
    if kind != "rag" or not rest:
        return {}
    return dict(part.split("=", 1) for part in rest.split(",") if "=" in part)


def _message(m: dict[str, Any]) -> Message:
    return Message(m["role"], m["content"])


ArmFactory = Callable[[str], tuple[Arm, Callable[[], None]]]  # name -> the arm, and what closes it
