"""What speaks for and against a checked answer, as far as it is needed to decide whether it is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from rag.errors import GeneratorFailed
from rag.generation.capabilities import Weighs, WeighsBeside
from rag.generation.checking import Checked
from rag.generation.citations import without_citations
from rag.generation.confirming import CONFIRMS, asks_to_confirm
from rag.generation.prompting import REFUSALS, doubting, prompt_language
from rag.generation.quoting import gives_what_is_asked
from rag.generation.refusal import Signals, confidence_of, decides, question_aim, question_coverage
from rag.generation.relevance import UNDECIDED, Relevance
from rag.generation.turn import Turn
from rag.protocols import Generator
from rag.types import Hit, Message, Span

log = logging.getLogger("ragbase.answering")


@dataclass(frozen=True, slots=True)
class Weighing:
    """Weighs answers by their wording, by the embedders, and by asking the model again. `on_signals` gets what was found of every answer;
    where it is given, nothing is left out."""

    generator: Generator
    relevance: Relevance | None
    on_signals: Callable[[Signals], None] | None = None

    def confidence(
        self,
        turn: Turn,
        checked: Checked,
        calibration: Mapping[str, Any] | None,
        threshold: float,
        cancel: Event | None = None,
    ) -> float:
        """How sure the answer is, 0..1. The model is asked to confirm it only where that decides on which side of the threshold it is, and
        where it keeps this request apart: a server with one prompt's state (Ollama) would read all of it each time, and the next question's
        sources anew."""
        quoted = _quoted(turn, checked)
        said = without_citations(checked.text)
        signals = Signals(
            aim=max((question_aim(turn.asked_of(hit), hit, span) for hit, span in quoted), default=0.0),
            near=self.nearness(turn, checked),
            coverage=max(question_coverage(q, turn.hits) for q in (turn.asked, *turn.translated.values())),
            supported=checked.share("supported"),
            partly=checked.share("partly"),
            kind=float(gives_what_is_asked(said, turn.asked)),
            doubt=self._doubt(turn, cancel),
        )
        asked = quoted and isinstance(self.generator, WeighsBeside)
        if asked and (self.on_signals is not None or decides(signals, "confirmed", calibration, threshold)):
            signals = replace(signals, confirmed=self._confirmed(turn, said, checked.quotes, cancel))
        if self.on_signals is not None:
            self.on_signals(signals)
        return confidence_of(signals, calibration)

    def nearness(self, turn: Turn, checked: Checked) -> float:
        """Nearness of the question to what is quoted, by the embedders, 0..1."""
        if self.relevance is None:
            return UNDECIDED
        near = (
            self.relevance.nearness(turn.asked_of(hit), hit, hit.chunk.text[slice(*span)])
            for hit, span in _quoted(turn, checked)
        )
        return max(near, default=0.0)

    def _doubt(self, turn: Turn, cancel: Event | None) -> float:
        """How far the model doubts that the sources answer: their state is still there, so only the last line is read."""
        question = turn.request.search.question
        return self._chance(doubting(turn.messages, question), REFUSALS[prompt_language(question)], cancel)

    def _confirmed(self, turn: Turn, said: str, quotes: Mapping[int, Span], cancel: Event | None) -> float:
        """How far the model finds that what is cited says so: the examples before it are read once."""
        messages = asks_to_confirm(turn.asked, said, turn.hits, quotes)
        return self._chance(messages, CONFIRMS[prompt_language(turn.asked)], cancel)

    def _chance(self, messages: Sequence[Message], word: str, cancel: Event | None) -> float:
        if not isinstance(self.generator, Weighs):
            return UNDECIDED
        try:
            chance = self.generator.chance(messages, word, cancel)
        except GeneratorFailed as e:  # the answer is there; how sure it is can be told without
            log.warning("the model was not asked about its answer", extra={"facts": {"error": str(e)}})
            return UNDECIDED
        return UNDECIDED if chance is None else chance


def _quoted(turn: Turn, checked: Checked) -> list[tuple[Hit, Span]]:
    """The hits that the answer cites, with the place in each."""
    return [(turn.hits[n - 1], span) for n, span in checked.quotes.items()]
