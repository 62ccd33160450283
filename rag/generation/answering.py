"""Question to proved answer: retrieve, choose what is read, generate, check every sentence, refuse when the sources do not say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from threading import Event, Thread
from time import monotonic
from typing import Any

from rag.errors import GeneratorFailed, PromptTooLong, RagError
from rag.generation import context as reading
from rag.generation.capabilities import HasSettings, KnowsItsSpeed, ReadsAhead, Remembers, Warms
from rag.generation.citations import cited_numbers, resolve, with_citations, without_citations
from rag.generation.evidence import Evidence, Finding, Similarity, check
from rag.generation.json_answers import leaves, safe_json
from rag.generation.output_safety import OutputFilter, safe_text
from rag.generation.prompting import REFUSALS, build, fit_history, is_refusal, prefix, prompt_language
from rag.generation.quoting import SURE, best_quote, gives_what_is_asked, says_nothing_new
from rag.generation.refusal import Signals, confidence_of, question_coverage, threshold_of
from rag.generation.sentences import sentence_spans
from rag.protocols import Generator, Retriever
from rag.settings import Settings
from rag.types import (
    Answer,
    AnswerDone,
    AskRequest,
    Citation,
    GenerationEnd,
    Hit,
    Message,
    SearchResult,
    Sentence,
    SourcesFound,
    Span,
    TextDelta,
    Timings,
)

HISTORY_TOKENS = 300
READ_AHEAD_TOKENS = 500
DEFAULT_SOURCE_TOKENS = 900  # for servers, whose speed is not known

_ABSTAINED = {
    "en": ("The documents do not answer this question.", "The nearest passage found is in “{title}” [{n}]: “{quote}”"),
    "zh": ("文档中没有这个问题的答案。", "最接近的内容见《{title}》[{n}]：“{quote}”"),
}


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
        on_gap: Callable[[str, str], None] | None = None,
        on_signals: Callable[[Signals], None] | None = None,
    ) -> None:
        self._collection = collection
        self._retriever = retriever
        self._generator = generator
        self._settings = settings
        self._similarity = similarity
        self._on_gap = on_gap  # question, reason
        self._on_signals = on_signals  # of every answer that the model gave, before it may be refused

    def stream(
        self, request: AskRequest, cancel: Event | None = None
    ) -> Iterator[SourcesFound | TextDelta | AnswerDone]:
        """See rag.protocols.Answerer."""
        started = monotonic()
        self._warm(request.search.question)
        result = self._retriever.search(request.search)
        retrieved = monotonic() - started
        question = request.search.question
        asked = result.query or question
        read = self._read(asked, result.hits)
        yield SourcesFound(read.hits, result.generation)
        timings = Timings(retrieve=retrieved)
        if not read.hits:
            yield AnswerDone(self._abstained(request, result, read.hits, timings, started, None))
            return
        draft = _Draft()
        yield from self._generate(request, asked, result, read, draft, started, cancel)
        timings = replace(
            timings,
            first_token=draft.first_token or monotonic() - started,
            prompt_tokens=draft.end.prompt_tokens,
            cached_tokens=draft.end.cached_tokens,
            answer_tokens=draft.end.answer_tokens,
        )
        done = self._finish(request, asked, result, read, draft, timings, started)
        if done.status == "answered" and done.finish_reason != "cancelled":
            self._read_ahead(question, done)
        yield AnswerDone(done)

    def _read(self, asked: str, hits: Sequence[Hit]) -> reading.Context:
        """What the model is shown: chosen for the question, and where it costs nothing, as an earlier prompt began."""
        budget = self._budget()
        read = reading.select(asked, hits, budget)
        memory = self._generator.memory if isinstance(self._generator, Remembers) else None
        if memory is not None and read.hits:
            read = memory.reuse(read, hits, budget)
            memory.remember(read)
        return read

    def _generate(
        self,
        request: AskRequest,
        asked: str,
        result: SearchResult,
        read: reading.Context,
        draft: _Draft,
        started: float,
        cancel: Event | None,
    ) -> Iterator[TextDelta]:
        """Streams the model's text, made safe, into `draft`; what could be a refusal is held back until it is not."""
        messages, longest = self._prompt(request, asked, read)
        safe = OutputFilter(_grounded(read.hits))
        refusal = REFUSALS[prompt_language(request.search.question)]
        held = ""
        held_back = True
        stream = self._generator.stream(
            messages,
            max_tokens=longest,
            temperature=request.temperature,
            seed=request.seed,
            schema=request.schema,
            cancel=cancel,
        )
        with closing(stream):  # type: ignore[type-var]
            for event in stream:
                if isinstance(event, GenerationEnd):
                    draft.end = event
                    break
                draft.raw += event.text
                if draft.first_token is None:
                    draft.first_token = monotonic() - started
                if request.schema is not None:
                    continue
                held += safe.feed(event.text)
                held_back = held_back and refusal.lower().startswith(held.strip().lower()[: len(refusal)])
                if held and not held_back:
                    yield TextDelta(held)
                    draft.text += held
                    held = ""
        if request.schema is not None:
            draft.text = safe_json(draft.raw, _grounded(read.hits))
            if draft.text:
                yield TextDelta(draft.text)
            return
        held += safe.finish()
        draft.text += held
        if held.strip() and not is_refusal(draft.text):
            yield TextDelta(held)

    def _prompt(self, request: AskRequest, asked: str, read: reading.Context) -> tuple[list[Message], int]:
        """Messages that fit the context, and how many tokens the answer may have."""
        longest = min(request.max_tokens or self._settings.answer_tokens, self._generator.context_length // 2)
        history = fit_history(request.search.history, HISTORY_TOKENS)
        question = request.search.question
        messages = build(question, read.sources, history)
        for _ in range(7):
            if self._generator.count_tokens(messages) + longest <= self._generator.context_length:
                return messages, longest
            if history:
                history = ()
            else:
                read = reading.select(asked, read.hits, max(read.tokens // 2, 60))
            messages = build(question, read.sources, history)
        if self._generator.count_tokens(messages) + longest > self._generator.context_length:
            raise PromptTooLong(
                f"{self._generator.name}: question and sources do not fit {self._generator.context_length} tokens; ask a shorter question"
            )
        return messages, longest

    def _finish(
        self,
        request: AskRequest,
        asked: str,
        result: SearchResult,
        read: reading.Context,
        draft: _Draft,
        timings: Timings,
        started: float,
    ) -> Answer:
        if draft.end.finish_reason == "cancelled":
            text = draft.text.strip()
            done = replace(timings, total=monotonic() - started)
            return Answer(
                request.search.question, "answered", text, (), (), read.hits, done, self._generator.name,
                result.generation, "cancelled",
            )  # fmt: skip
        if request.schema is not None:
            return self._structured(request, asked, result, read, draft, timings, started)
        said = self._said(asked, draft.text.strip(), read)
        if said is None:
            return self._abstained(request, result, read.hits, timings, started, 0.0)
        text, sentences, quotes = self._checked(asked, said, read.hits)
        signals = Signals(
            coverage=question_coverage(asked, read.hits),
            supported=_share(sentences, "supported"),
            partly=_share(sentences, "partly"),
            kind=float(gives_what_is_asked(without_citations(text), asked)),
        )
        if self._on_signals is not None:
            self._on_signals(signals)
        confidence = confidence_of(signals, self._calibration())
        if confidence < threshold_of(self._calibration(), self._settings.max_wrong):
            return self._abstained(request, result, read.hits, timings, started, confidence)
        if self._settings.unsupported == "drop":
            kept = [s for s in sentences if s.verdict != "unsupported"]
            if not kept:
                return self._abstained(request, result, read.hits, timings, started, confidence)
            text, sentences = _rejoined(text, kept)
        numbers = cited_numbers(text)
        return Answer(
            question=request.search.question,
            status="answered",
            text=text,
            citations=resolve(numbers, read.hits, quotes),
            sentences=sentences,
            hits=read.hits,
            timings=replace(timings, total=monotonic() - started),
            model=self._generator.name,
            generation=result.generation,
            finish_reason=draft.end.finish_reason,
            confidence=round(confidence, 4),
        )

    @staticmethod
    def _said(asked: str, text: str, read: reading.Context) -> str | None:
        """The model's answer; the sentence of a source where the model gave no words of its own, or refused what a source
        plainly says; None for a refusal."""
        bare = without_citations(text)
        if cited_numbers(text) and not any(c.isalnum() for c in bare):
            named = next((n for n in cited_numbers(text) if n <= len(read.hits)), None)
            quote = best_quote(asked, read.hits, only=named)
            return f"{quote.text} [{quote.n}]" if quote else None
        if is_refusal(bare):
            quote = best_quote(asked, read.hits)
            return f"{quote.text} [{quote.n}]" if quote and quote.fits and quote.coverage >= SURE else None
        if says_nothing_new(bare, asked):
            quote = best_quote(asked, read.hits)
            return f"{quote.text} [{quote.n}]" if quote and quote.coverage >= 0.5 else text
        return text

    def _checked(self, asked: str, text: str, hits: Sequence[Hit]) -> tuple[str, tuple[Sentence, ...], dict[int, Span]]:
        """The text with repaired citations, its sentences with verdicts, and the span that each cited source is quoted with."""
        sources = evidence_of(hits)
        out, at = "", 0
        found: list[Sentence] = []
        quotes: dict[int, Span] = {}
        for start, end in sentence_spans(text):
            out += text[at:start]
            at = end
            raw = text[start:end]
            verdict, numbers, reason, findings = check(
                raw, cited_numbers(raw), sources, question=asked, similarity=self._similarity
            )
            mended = with_citations(raw, numbers)
            found.append(Sentence(mended, verdict, numbers, (len(out), len(out) + len(mended)), reason))
            out += mended
            for n in numbers:
                quotes.setdefault(n, _quote(findings.get(n), hits[n - 1]))
        return out + _without_marks(text[at:]), tuple(found), quotes

    def _structured(
        self,
        request: AskRequest,
        asked: str,
        result: SearchResult,
        read: reading.Context,
        draft: _Draft,
        timings: Timings,
        started: float,
    ) -> Answer:
        """A JSON answer: its strings and numbers are checked like sentences; citations are those that support them."""
        try:
            values = list(leaves(json.loads(draft.text)))
        except ValueError as e:
            raise GeneratorFailed(
                f"{self._generator.name}: the answer is not the JSON that the schema asks for; raise the answer's tokens or simplify the schema"
            ) from e
        if all(is_refusal(v) for v in values):
            return self._abstained(request, result, read.hits, timings, started, 0.0)
        sources = evidence_of(read.hits)
        sentences: list[Sentence] = []
        quotes: dict[int, Span] = {}
        for value in values:
            verdict, numbers, reason, findings = check(
                value, cited_numbers(value), sources, question=asked, similarity=self._similarity
            )
            start = max(draft.text.find(json.dumps(value, ensure_ascii=False)[1:-1]), 0)
            sentences.append(Sentence(value, verdict, numbers, (start, start + len(value)), reason))
            for n in numbers:
                quotes.setdefault(n, _quote(findings.get(n), read.hits[n - 1]))
        return Answer(
            request.search.question, "answered", draft.text, resolve(sorted(quotes), read.hits, quotes), tuple(sentences),
            read.hits, replace(timings, total=monotonic() - started), self._generator.name, result.generation,
            draft.end.finish_reason,
        )  # fmt: skip

    def _abstained(
        self,
        request: AskRequest,
        result: SearchResult,
        hits: Sequence[Hit],
        timings: Timings,
        started: float,
        confidence: float | None,
    ) -> Answer:
        """The refusal: says what was found nearest, and is remembered as a gap in the content."""
        question = request.search.question
        text, nearest = _ABSTAINED[prompt_language(question)]
        citations: tuple[Citation, ...] = ()
        if hits:
            nearest_quote = best_quote(question, hits[:1])
            quote = nearest_quote.span if nearest_quote else (sentence_spans(hits[0].chunk.text) or [(0, 200)])[0]
            text += " " * (text[-1] == ".") + nearest.format(
                title=safe_text(hits[0].title), n=1, quote=safe_text(hits[0].chunk.text[quote[0] : quote[1]])
            )
            citations = resolve((1,), hits, {1: quote})
        if self._on_gap is not None:
            self._on_gap(question, "abstained")
        return Answer(
            question=question,
            status="abstained",
            text=text,
            citations=citations,
            sentences=(),
            hits=tuple(hits),
            timings=replace(timings, total=monotonic() - started),
            model=self._generator.name,
            generation=result.generation,
            confidence=confidence,
        )

    def _budget(self) -> int:
        if self._settings.source_tokens:
            return self._settings.source_tokens
        return self._generator.source_tokens() if isinstance(self._generator, KnowsItsSpeed) else DEFAULT_SOURCE_TOKENS

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

    def _read_ahead(self, question: str, done: Answer) -> None:
        """Lets an idle model read the cited passages whole: who asked about a document often asks again."""
        generator = self._generator
        if not isinstance(generator, ReadsAhead):
            return
        cited = [done.hits[c.n - 1] for c in done.citations]
        rest = [h for h in done.hits if h not in cited and any(h.chunk.document == c.chunk.document for c in cited)]
        ahead = reading.whole(cited + rest, READ_AHEAD_TOKENS) if cited else None
        if ahead is not None:
            generator.read_ahead(build(question, ahead.sources), lambda: generator.memory.remember(ahead))

    def _calibration(self) -> Mapping[str, Any] | None:
        stored = self._collection.get_setting("calibration")
        return stored if isinstance(stored, Mapping) else None


class _Draft:
    """What the model said so far."""

    def __init__(self) -> None:
        self.raw = ""
        self.text = ""
        self.first_token: float | None = None
        self.end = GenerationEnd("stop", 0, 0, 0)


def answer(answerer: Any, request: AskRequest, cancel: Event | None = None) -> Answer:
    """The finished answer of an Answerer, without its preview."""
    for event in answerer.stream(request, cancel):
        if isinstance(event, AnswerDone):
            return event.answer
    raise GeneratorFailed("the answer ended without a result; ask again")


def evidence_of(hits: Sequence[Hit]) -> list[Evidence]:
    """Hits as sources that sentences are held against, numbered from 1."""
    return [Evidence(n, h.chunk.text, h.chunk.context or h.title) for n, h in enumerate(hits, 1)]


def _quote(finding: Finding | None, hit: Hit) -> Span:
    return finding.span if finding is not None and finding.span[1] > finding.span[0] else (0, len(hit.chunk.text))


def _share(sentences: Sequence[Sentence], verdict: str) -> float:
    return sum(s.verdict == verdict for s in sentences) / len(sentences) if sentences else 0.0


def _without_marks(text: str) -> str:
    return text if not cited_numbers(text) else without_citations(text)


def _rejoined(text: str, kept: Sequence[Sentence]) -> tuple[str, tuple[Sentence, ...]]:
    """The kept sentences as a text of their own, with their spans in it."""
    chinese = prompt_language(text) == "zh"
    out, moved = "", []
    for s in kept:
        gap = "" if not out or chinese else " "
        start = len(out) + len(gap)
        out += gap + s.text
        moved.append(replace(s, span=(start, start + len(s.text))))
    return out, tuple(moved)


def _grounded(hits: Sequence[Hit]) -> Callable[[str], bool]:
    return lambda word: any(word in h.chunk.text for h in hits)
