"""A whole service made of real parts, with the model and the embedders left out: what the tests of HTTP stand on.

Collections, keys, jobs, queue and routes are the real ones. Search is BM25 over the real store. The answer is scripted, because a slow or
failing model is the point of many tests.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import uvicorn

from api.app import create_app
from api.serving import bind, limits
from rag.errors import RagError
from rag.index.tokenization import tokenize
from rag.retrieval.fields import CHUNKING, Fields
from rag.settings import Settings
from rag.storage.card import Card
from rag.storage.collection import Collection
from rag.storage.ledger import Ledger
from rag.types import (
    Answer,
    AnswerDone,
    AskRequest,
    Chunk,
    Citation,
    Document,
    GenerationEnd,
    Hit,
    Message,
    SearchRequest,
    SearchResult,
    Sentence,
    SourcesFound,
    TextDelta,
    Timings,
    Verdict,
)
from rag.wiring import Services

CARD = Card((), CHUNKING)


class KeywordRetriever:
    """BM25 alone."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def search(self, request: SearchRequest) -> SearchResult:
        begun = time.monotonic()
        snapshot = self._collection.snapshot(request.as_of)
        allowed = snapshot.allowed(request.groups, request.filter)
        found = snapshot.keyword(tokenize(request.question), allowed, request.k)
        chunks = snapshot.chunks(found.ids)
        paths = {d.document: d for d in snapshot.info([c.document for c in chunks])}
        hits = tuple(
            Hit(chunk, float(score), rank, paths[chunk.document].title, paths[chunk.document].path)
            for rank, (chunk, score) in enumerate(zip(chunks, found.scores, strict=True), 1)
        )
        return SearchResult(hits, snapshot.generation, time.monotonic() - begun, request.question)


@dataclass
class Script:
    """How the model behaves. `seconds` before each word; `error` is raised after `words_before_error` words."""

    words: Sequence[str] = ("The", "answer", "stands", "here", "[1].")
    seconds: float = 0.0
    prefill: float = 0.0
    error: RagError | None = None
    words_before_error: int = 0
    verdicts: Sequence[Verdict] = ("supported",)  # of the sentences, the last one for all that follow
    abstain_without_hits: bool = True
    asked: list[AskRequest] = field(default_factory=list)
    active: int = 0
    most_active: int = 0
    cancelled: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class ScriptedAnswerer:
    """Searches for real, then says what the script says, and stops when told to."""

    def __init__(self, retriever: KeywordRetriever, script: Script) -> None:
        self._retriever = retriever
        self._script = script

    def stream(
        self, request: AskRequest, cancel: Event | None = None
    ) -> Iterator[SourcesFound | TextDelta | AnswerDone]:
        s = self._script
        with s.lock:
            s.asked.append(request)
            s.active += 1
            s.most_active = max(s.most_active, s.active)
        try:
            yield from self._answer(request, cancel or Event())
        finally:
            with s.lock:
                s.active -= 1

    def _answer(self, request: AskRequest, cancel: Event) -> Iterator[SourcesFound | TextDelta | AnswerDone]:
        s, begun = self._script, time.monotonic()
        result = self._retriever.search(request.search)
        yield SourcesFound(result.hits, result.generation)
        stopped = cancel.wait(s.prefill) if s.prefill else False
        said: list[str] = []
        refused = not result.hits and s.abstain_without_hits
        words = ("The", "documents", "do", "not", "say.") if refused else s.words
        for i, word in enumerate(words):
            if stopped or (cancel.wait(s.seconds) if s.seconds else cancel.is_set()):
                stopped = True
                break
            if s.error is not None and i >= s.words_before_error:
                raise s.error
            said.append(word if i == 0 else f" {word}")
            yield TextDelta(said[-1])
        if s.error is not None and not words:
            raise s.error
        if stopped:
            s.cancelled += 1
        text = "".join(said)
        cited = () if refused or not result.hits else (citation(1, result.hits[0]),)
        yield AnswerDone(
            Answer(
                request.search.question,
                "abstained" if refused else "answered",
                text,
                cited,
                () if refused else sentences(text, s.verdicts),
                result.hits,
                Timings(0.0, 0.0, time.monotonic() - begun, 100, 40, len(said)),
                "toy",
                result.generation,
                "cancelled" if stopped else "stop",
            )
        )


def sentences(text: str, verdicts: Sequence[Verdict]) -> tuple[Sentence, ...]:
    spans = [m.span() for m in re.finditer(r"[^.。]+[.。]?", text)]
    return tuple(
        Sentence(text[a:b], verdicts[min(i, len(verdicts) - 1)], (1,) if "[1]" in text[a:b] else (), (a, b))
        for i, (a, b) in enumerate(spans)
    )


def citation(n: int, hit: Hit) -> Citation:
    c = hit.chunk
    return Citation(n, c.id, c.document, hit.title, hit.path, c.page, c.span, c.text)


class ToyGenerator:
    """Only its name and its health are asked for."""

    name = "toy"
    context_length = 4096

    def __init__(self) -> None:
        self.problems: list[str] = []

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(m.content) for m in messages) // 4

    def stream(self, messages: Sequence[Message], **_: Any) -> Iterator[TextDelta | GenerationEnd]:
        yield TextDelta("Hello")
        yield GenerationEnd("stop", 1, 0, 1)

    def check(self) -> list[str]:
        return self.problems

    def close(self) -> None:
        pass


class ToyServices(Services):
    """The real services but for models."""

    def __init__(self, settings: Settings, script: Script | None = None) -> None:
        super().__init__(settings)
        self.script = script or Script()
        self.toy = ToyGenerator()

    def collection(self, name: str | None = None, *, create: bool = False) -> Collection:
        name = name or self.settings.collection
        if create and not self.home.exists(name):
            self.home.create(name, CARD).close()
        return super().collection(name)

    def fields(self, name: str | None = None) -> Fields:
        return Fields(CARD, lambda field, bulk: (_ for _ in ()).throw(AssertionError("no embedder here")))

    def retriever(self, name: str | None = None) -> KeywordRetriever:
        return KeywordRetriever(self.collection(name))

    def generator(self) -> ToyGenerator:  # type: ignore[override]
        return self.toy

    def answerer(self, name: str | None = None, generator: Any = None) -> ScriptedAnswerer:
        return ScriptedAnswerer(self.retriever(name), self.script)


def add(home: Path, texts: Mapping[str, str], groups: Sequence[str] = ("public",), collection: str = "default") -> None:
    """Puts documents into a collection: path -> text, one chunk each, id = the path without its suffix."""
    with ToyServices(Settings(home=home, collection=collection)) as services:
        opened = services.collection(create=True)
        with opened.writer() as writer:
            for path, text in texts.items():
                id_ = path.partition(".")[0]
                document = Document(
                    id_, id_.title(), text, path, "/docs", str(hash(text)), groups=frozenset(groups), type="markdown"
                )
                chunk = Chunk(-1, id_, text, (0, len(text)), title=document.title, content_hash=str(hash(text)))
                writer.put(document, [chunk], {})
            writer.commit()


def make_key(home: Path, *groups: str, admin: bool = False) -> str:
    with Ledger(home) as ledger:
        return ledger.create_key("test", groups, admin)[0]


class Live:
    """The service on a loopback port, in a thread. `url`, `client` (httpx), `services`, `script`."""

    def __init__(
        self,
        home: Path,
        script: Script | None = None,
        make: Callable[[Settings], Services] | None = None,
        **settings: Any,
    ) -> None:
        chosen = Settings(home=home, **settings)
        self.services: Any = make(chosen) if make else ToyServices(chosen, script)
        self.script: Script = getattr(self.services, "script", Script())
        self.app = create_app(self.services)
        self.service = self.app.state.service
        self._listener = bind("127.0.0.1", 0)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(uvicorn.Config(self.app, **limits(chosen), timeout_graceful_shutdown=3))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))

    def __enter__(self) -> Live:
        self._thread.start()
        wait(lambda: self._server.started)
        wait(lambda: self.service.readiness.warm, 120)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(30)
        self._listener.close()
        assert not self._thread.is_alive(), "the service did not stop"

    def with_key(self, key: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, headers={"Authorization": f"Bearer {key}"})

    def raw(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> socket.socket:
        """A connection on which the request was sent and nothing was read."""
        sent = {
            "Host": "127.0.0.1",
            "Content-Length": str(len(body)),
            "Content-Type": "application/json",
            **(headers or {}),
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items())]
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return connection


def wait(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Seconds until the condition held; fails after `seconds`."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "it never came to be"
        time.sleep(0.01)
    return time.monotonic() - begun
