"""Whether the service can answer: models are loaded in the background at start, and the language model's health is asked again
when somebody wants to know."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

from rag.errors import NotFound, RagError
from rag.protocols import Generator
from rag.types import Message, SearchRequest
from rag.wiring import Services

log = logging.getLogger("ragbase.service")

STALE = 3.0  # seconds for which an answer of the model's server is believed


@dataclass(frozen=True, slots=True)
class Ready:
    """`status`: starting, ready, degraded (search works, answers do not) or failed (nothing works)."""

    status: str
    search: str = ""  # what is wrong with it; empty = nothing
    answers: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether traffic should come here: also when only search works."""
        return self.status in ("ready", "degraded")


class Readiness:
    """Warms up in a thread; `state` may be asked at any time from any thread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._thread = threading.Thread(target=self._warm, name="warm-up", daemon=True)
        self._lock = threading.Lock()
        self._warmed = False
        self._checked = 0.0
        self._state = Ready("starting")

    def start(self) -> None:
        """Begins to load."""
        self._thread.start()

    def stop(self) -> None:
        """Waits for the loading to end, so that nothing is closed under it."""
        if self._thread.is_alive():
            self._thread.join(30)

    @property
    def warm(self) -> bool:
        """Whether the first loading has ended, well or not."""
        return self._warmed

    def state(self) -> Ready:
        """May take as long as the model's server takes to answer; call it from a thread."""
        if not self._warmed:
            return self._state
        with self._lock:
            if time.monotonic() - self._checked > STALE:
                self._state = self._look()
                self._checked = time.monotonic()
            return self._state

    def _warm(self) -> None:
        begun = time.monotonic()
        search = self._search_problem()
        answers = self._answer_problems(generate=True)
        with self._lock:
            self._state = _judge(search, answers)
            self._checked = time.monotonic()
            self._warmed = True
        log.info(
            "warm",
            extra={
                "facts": {
                    "status": self._state.status,
                    "search": search,
                    "answers": answers,
                    "seconds": round(time.monotonic() - begun, 1),
                }
            },
        )

    def _look(self) -> Ready:
        return _judge(self._search_problem(), self._answer_problems(generate=False))

    def _search_problem(self) -> str:
        """Opens the collection and searches. A collection that does not exist yet is no problem: an upload makes it."""
        try:
            for question in ("warm-up", "预热"):  # each language has embedders and words of its own
                found = self._services.retriever().search(SearchRequest(question, k=1))
                # What compares sentences opens slowly.
                self._services.relevance()(question, [(h, h.title) for h in found.hits])
        except NotFound:
            return ""
        except RagError as e:
            return str(e)
        return ""

    def _answer_problems(self, generate: bool) -> list[str]:
        try:
            generator = self._services.generator()
            problems = generator.check()
            if not problems and generate:
                self._load(generator)
        except RagError as e:
            return [str(e)]
        return problems

    def _load(self, generator: Generator) -> None:
        """Brings the weights into memory, so that the first reader does not wait for them."""
        from rag.generation.answering import Warms
        from rag.generation.prompting import prefix

        if isinstance(generator, Warms):
            for question in ("你好", "Hello"):
                generator.warm(prefix(question))
        elif not self._services.settings.generator.startswith("openai:"):  # those may cost money
            for _ in generator.stream([Message("user", "Hello")], max_tokens=1):
                pass


def _judge(search: str, answers: list[str]) -> Ready:
    status = "failed" if search else "degraded" if answers else "ready"
    return Ready(status, search, tuple(answers))
