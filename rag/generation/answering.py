"""Question to proved answer: retrieve, choose what is read, generate, check every sentence, refuse when the sources do not say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from threading import Event, Thread
from time import monotonic
from typing import Any

from rag.errors import GeneratorFailed, RagError
from rag.generation import context as reading
from rag.generation.abstaining import abstention
from rag.generation.asking import fitted
from rag.generation.capabilities import HasSettings, KnowsItsSpeed, ReadsAhead, Remembers, Warms
from rag.generation.checking import Checked, check_json, check_text, said
from rag.generation.citations import cited_numbers, resolve
from rag.generation.completing import completed
from rag.generation.drafting import Draft, drafted
from rag.generation.evidence import Similarity
from rag.generation.prompting import prefix
from rag.generation.redirecting import nearer
from rag.generation.refusal import Signals, threshold_of
from rag.generation.relevance import Relevance
from rag.generation.translation import searched
from rag.generation.turn import Turn
from rag.generation.weighing import Weighing
from rag.protocols import Generator, Retriever
from rag.retrieval.rewriting import asks_for_several, parts
from rag.settings import Settings
from rag.types import (
    Answer,
    AnswerDone,
    AskRequest,
    Citation,
    Hit,
    Sentence,
    SourcesFound,
    TextDelta,
    Timings,
)

READ_AHEAD_TOKENS = 800  # ten to twenty seconds of reading: while an answer is read, and the next question written
READ_AHEAD_STEP = 48  # a question waits for one step at most, and what was read before it is kept
DEFAULT_SOURCE_TOKENS = 900  # for servers, whose speed is not known


class GroundedAnswerer:
    """Answerer over one collection. Thread-safe as far as its retriever and generator are (they promise to be)."""

    def __init__(
        self,
        collection: HasSettings,
        retriever: Retriever,
        generator: Generator,
        settings: Settings,
        *,
        similarity: Similarity | None = None,
        relevance: Relevance | None = None,
        on_signals: Callable[[Signals], None] | None = None,
    ) -> None:
        self._collection = collection
        self._retriever = retriever
        self._generator = generator
        self._settings = settings
        self._similarity = similarity
        self._relevance = relevance
        self._weighing = Weighing(generator, relevance, on_signals)  # of every answer, before it may be refused

    def stream(
        self, request: AskRequest, cancel: Event | None = None
    ) -> Iterator[SourcesFound | TextDelta | AnswerDone]:
        """See rag.protocols.Answerer."""
        started = monotonic()
        self._warm(request.search.question)
        translator = self._generator if self._settings.translate else None
        result, translated = searched(request.search, self._retriever, translator, cancel)
        timings = Timings(retrieve=monotonic() - started)
        asked = result.query or request.search.question
        several = asks_for_several(request.search.question)
        turn = Turn(request, asked, several, translated, result, timings, started)
        turn = replace(turn, read=self._read(turn))
        yield SourcesFound(turn.hits, result.generation)
        if not turn.hits:
            yield AnswerDone(self._abstained(turn, None))
            return
        draft = Draft(started)
        messages, longest = fitted(
            request, turn.read, self._settings.answer_tokens, self._generator, partial(self._cut, turn)
        )
        events = self._generator.stream(
            messages,
            max_tokens=longest,
            temperature=request.temperature,
            seed=request.seed,
            schema=request.schema,
            cancel=cancel,
        )
        with closing(events):  # type: ignore[type-var]
            yield from drafted(events, draft, request, turn.hits)
        timings = replace(
            timings,
            first_token=draft.first_token or monotonic() - started,
            prompt_tokens=draft.end.prompt_tokens,
            cached_tokens=draft.end.cached_tokens,
            answer_tokens=draft.end.answer_tokens,
        )
        done = self._finish(replace(turn, timings=timings, messages=messages), draft, cancel)
        self._read_ahead(turn, done)
        if done.status == "answered" and done.finish_reason == "stop" and request.schema is None:
            whole = completed(done, request.search, self._retriever, self._relevance)
            if whole is not done:
                yield TextDelta(whole.text[len(done.text) :])
            done = whole
        yield AnswerDone(done)

    def _read(self, turn: Turn) -> reading.Context:
        """What the model is shown: chosen for the question, and where it costs nothing, as an earlier prompt began."""
        hits, budget = turn.result.hits, self._budget(turn)
        cut = partial(self._cut, turn, hits, budget)
        if not isinstance(self._generator, Remembers) or not hits:
            return cut()
        return self._generator.memory.chosen(cut, hits, budget, words_tell=not turn.several and not turn.translated)

    def _cut(self, turn: Turn, hits: Sequence[Hit], budget: int, *, by_words: bool = False) -> reading.Context:
        relevance = None if by_words else self._relevance
        return reading.select(turn.asked, hits, budget, relevance, several=turn.several, translated=turn.translated)

    def _finish(self, turn: Turn, draft: Draft, cancel: Event | None) -> Answer:
        """The draft checked: an answer, or a refusal."""
        reason = draft.end.finish_reason
        if reason == "cancelled":
            return self._answer(turn, "answered", draft.text.strip(), finish_reason=reason)
        if turn.request.schema is not None:
            return self._structured(turn, draft)
        text = said(turn.asked, draft.text.strip(), turn.hits)
        if text is None:
            return self._abstained(turn, 0.0)
        checked = self._redirected(turn, check_text(turn.asked, text, turn.hits, self._similarity))
        calibration = self._calibration()
        threshold = threshold_of(calibration, self._settings.max_wrong)
        confidence = self._weighing.confidence(turn, checked, calibration, threshold, cancel)
        if confidence < threshold:
            return self._abstained(turn, confidence)
        if self._settings.unsupported == "drop":
            checked = checked.without_unsupported()
            if not checked.sentences:
                return self._abstained(turn, confidence)
        checked = checked.without_question(turn.asked)
        return self._answer(
            turn,
            "answered",
            checked.text,
            citations=resolve(cited_numbers(checked.text), turn.hits, checked.quotes),
            sentences=checked.sentences,
            finish_reason=reason,
            confidence=round(confidence, 4),
        )

    def _structured(self, turn: Turn, draft: Draft) -> Answer:
        """A JSON answer: its values are checked like sentences; citations are those that support them."""
        try:
            checked = check_json(turn.asked, draft.text, turn.hits, self._similarity)
        except ValueError as e:
            raise GeneratorFailed(
                f"{self._generator.name}: the answer is not the JSON that the schema asks for; raise the answer's tokens or simplify the schema"
            ) from e
        if checked is None:
            return self._abstained(turn, 0.0)
        return self._answer(
            turn,
            "answered",
            checked.text,
            citations=resolve(sorted(checked.quotes), turn.hits, checked.quotes),
            sentences=checked.sentences,
            finish_reason=draft.end.finish_reason,
        )

    def _abstained(self, turn: Turn, confidence: float | None) -> Answer:
        """The refusal."""
        text, citations = abstention(turn.request.search.question, turn.hits)
        return self._answer(turn, "abstained", text, citations=citations, confidence=confidence)

    def _answer(
        self,
        turn: Turn,
        status: Any,
        text: str,
        *,
        citations: tuple[Citation, ...] = (),
        sentences: tuple[Sentence, ...] = (),
        finish_reason: Any = "stop",
        confidence: float | None = None,
    ) -> Answer:
        return Answer(
            question=turn.request.search.question,
            status=status,
            text=text,
            citations=citations,
            sentences=sentences,
            hits=turn.hits,
            timings=replace(turn.timings, total=monotonic() - turn.started),
            model=self._generator.name,
            generation=turn.result.generation,
            finish_reason=finish_reason,
            confidence=confidence,
        )

    def _redirected(self, turn: Turn, checked: Checked) -> Checked:
        """The answer, or the sentence that should have been quoted."""
        if self._relevance is None or not turn.translated:
            return checked
        near = self._weighing.nearness(turn, checked)
        quote = nearer(turn.asked, turn.hits, near, self._relevance, turn.translated)
        return checked if quote is None else check_text(turn.asked, quote.cited, turn.hits, self._similarity)

    def _budget(self, turn: Turn) -> int:
        if self._settings.source_tokens:
            return self._settings.source_tokens
        generator = self._generator
        tokens = generator.source_tokens() if isinstance(generator, KnowsItsSpeed) else DEFAULT_SOURCE_TOKENS
        if turn.several and len(parts(turn.request.search.question)) == 1:  # parts are searched for each by itself
            tokens = max(tokens, min(int(reading.SEVERAL * tokens), reading.MOST))
        return tokens

    def _warm(self, question: str) -> None:
        """Starts to load the model and to read the fixed beginning of the prompt while the documents are searched; a failure
        shows when the model is asked."""
        generator = self._generator
        if isinstance(generator, Warms):

            def load() -> None:
                try:
                    generator.warm(prefix(question))
                except RagError:
                    return

            Thread(target=load, name="warm", daemon=True).start()

    def _read_ahead(self, turn: Turn, done: Answer) -> None:
        """Lets an idle model read the cited passages whole, and what else was found in their documents: who asked about a document
        often asks again."""
        generator = self._generator
        cited = [done.hits[c.n - 1] for c in done.citations]
        if not isinstance(generator, ReadsAhead) or not cited:
            return
        question = turn.request.search.question
        steps = reading.growing(to_read_ahead(cited, turn.result.hits), READ_AHEAD_TOKENS, READ_AHEAD_STEP)
        generator.read_ahead([(prefix(question, c.sources), partial(generator.memory.remember, c)) for c in steps])

    def _calibration(self) -> Mapping[str, Any] | None:
        stored = self._collection.get_setting("calibration")
        return stored if isinstance(stored, Mapping) else None


def to_read_ahead(cited: Sequence[Hit], found: Sequence[Hit]) -> list[Hit]:
    """What a next question on the documents of `cited` may need: these passages, then the others found in their documents."""
    documents = {h.chunk.document for h in cited}
    seen = {h.chunk.id for h in cited}
    return [*cited, *(h for h in found if h.chunk.document in documents and h.chunk.id not in seen)]


def answer(answerer: Any, request: AskRequest, cancel: Event | None = None) -> Answer:
    """The finished answer of an Answerer, without its preview."""
    for event in answerer.stream(request, cancel):
        if isinstance(event, AnswerDone):
            return event.answer
    raise GeneratorFailed("the answer ended without a result; ask again")
