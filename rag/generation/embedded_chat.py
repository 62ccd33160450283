"""A language model inside this process: llama.cpp through xllamacpp, which has its home here.

The server object of xllamacpp also listens on a loopback port; it is locked with a random key that never leaves this file and
is used only to count tokens, because the in-process interface has no tokenizer.
"""

from __future__ import annotations

import json
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, RLock, Semaphore, Thread
from typing import Any

import psutil

from rag.errors import GeneratorFailed, GeneratorOutOfMemory, ModelUnavailable, PromptTooLong, StreamBroken
from rag.generation.chances import First, chance_of, first_tokens
from rag.generation.completion_body import completion_body, plain
from rag.generation.context import source_budget
from rag.generation.prompt_memory import PromptMemory
from rag.generation.stream_bridge import Outbox, bridge
from rag.models import machine
from rag.types import GenerationEnd, Message, TextDelta

# Tokens read between two looks at the cancel flag. 256 tokens take 2.6 s at 100 tokens/s, 128 keep the promise of two seconds
# down to 64 tokens/s; reading in pieces of 128 costs nothing measurable (tests/bench/answers_bench.py engine).
PROMPT_BATCH = 128
READ_AHEAD_AFTER = 1.0  # seconds without a question
PROMPT_CACHE_MIB = 1024  # KV states of earlier prompts kept in memory: about 120 prompts of 300 tokens at 1.5B
SPINS = "500"  # looks of a waiting thread before it sleeps: 10 to 30 microseconds


class EmbeddedGenerator:
    """Generator over a GGUF file. Loads when first used; answers `parallel` questions at a time and queues the others."""

    keeps_prompts = True

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        context_length: int = 4096,
        threads: int = 0,
        parallel: int = 1,
        lora: Path | None = None,
        timeout: float = 120.0,
    ) -> None:
        self.name = name
        self.context_length = context_length
        self._path = path
        self._threads = threads or psutil.cpu_count(logical=False) or 1
        self._parallel = parallel
        self._lora = lora
        self._timeout = timeout
        self._lock = RLock()
        self._turns = Semaphore(parallel)
        self._server: Any = None
        self._closing = Event()
        self._answered = 0
        self._ahead_stopped = Event()
        self._warmed: set[tuple[str, ...]] = set()
        self.memory = PromptMemory()
        self._key = secrets.token_hex(16)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt as the model's own chat template renders it: exact."""
        rendered = self._post("/apply-template", {"messages": plain(messages)})["prompt"]
        return len(self._post("/tokenize", {"content": rendered, "parse_special": True})["tokens"])

    def source_tokens(self) -> int:
        """Tokens of sources that are read in a few seconds on this machine."""
        return source_budget(
            self._path.stat().st_size if self._path.is_file() else 1_000_000_000,
            self._threads,
            "avx512bw" in machine.cpu_flags(),
        )

    def warm(self, messages: Sequence[Message] = ()) -> None:
        """Loads the model and, given messages, reads them once, so that their state is there for the first question."""
        self._load()
        key = tuple(m.content for m in messages)
        with self._lock:
            self._interrupt()  # somebody is about to ask, and searching wants the cores as well
            if not messages or key in self._warmed:
                return
            self._warmed.add(key)
        for _ in self._generate(messages, max_tokens=1, cancel=self._closing):
            pass

    def read_ahead(self, steps: Sequence[tuple[Sequence[Message], Callable[[], None]]]) -> None:
        """See rag.generation.capabilities.ReadsAhead. Begins when nobody has asked for a moment and is given up for a question, which
        waits for one step at most. A process that has answered only once does not start."""
        with self._lock:
            self._interrupt()
            if self._answered < 2 or self._server is None:
                return
            stopped = self._ahead_stopped

            def read() -> None:
                if stopped.wait(READ_AHEAD_AFTER):
                    return
                for messages, done in steps:
                    for event in self._generate(messages, max_tokens=1, cancel=stopped):
                        if isinstance(event, GenerationEnd) and event.finish_reason != "cancelled":
                            done()
                    if stopped.is_set():
                        return

            Thread(target=read, name="read ahead", daemon=True).start()

    def chance(self, messages: Sequence[Message], word: str, cancel: Event | None = None) -> float | None:
        """See rag.generation.capabilities.Weighs."""
        first: First = []
        for _ in self._generate(messages, max_tokens=1, cancel=cancel, first=first):
            pass
        return chance_of(word, first)

    def _interrupt(self) -> None:
        """Stops reading ahead."""
        self._ahead_stopped.set()
        self._ahead_stopped = Event()

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        cancel: Event | None = None,
    ) -> Iterator[TextDelta | GenerationEnd]:
        """See rag.protocols.Generator."""
        with self._lock:
            self._interrupt()
            self._answered += 1
        yield from self._generate(
            messages,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            stop=stop,
            schema=schema,
            cancel=cancel,
        )

    def _generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        stop: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        cancel: Event | None = None,
        first: First | None = None,
    ) -> Iterator[TextDelta | GenerationEnd]:
        """`first`, when given, gets the likeliest first tokens."""
        server = self._load()
        body = completion_body(
            messages,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            stop=stop,
            schema=schema,
            chances=first is not None,
        ) | {"return_progress": True, "cache_prompt": True}

        def produce(outbox: Outbox[dict[str, Any]]) -> None:
            def receive(chunk: dict[str, Any]) -> bool:
                outbox.put(chunk)
                return outbox.stopped.is_set()

            server.handle_chat_completions(body, receive)

        finish: str | None = None
        usage: Mapping[str, Any] = {}
        read = 0
        with self._turn(cancel) as admitted:
            if not admitted:
                yield GenerationEnd("cancelled", 0, 0, 0)
                return
            for chunk in bridge(produce, cancel=cancel, timeout=self._timeout, name=self.name):
                if "error" in chunk:
                    raise self._failure(chunk["error"])
                read = max(read, (chunk.get("prompt_progress") or {}).get("processed", 0))
                usage = chunk.get("usage") or usage
                for choice in chunk.get("choices", ()):
                    finish = choice.get("finish_reason") or finish
                    if first is not None and not first:
                        first.extend(first_tokens(choice))
                    text = choice.get("delta", {}).get("content")
                    if text:
                        yield TextDelta(text)
        if cancel is not None and cancel.is_set():
            yield GenerationEnd("cancelled", read, 0, 0)
            return
        if finish is None:
            raise StreamBroken(f"{self.name}: the answer ended in the middle; ask again")
        yield GenerationEnd(
            "length" if finish == "length" else "stop",
            usage.get("prompt_tokens", 0),
            (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
            usage.get("completion_tokens", 0),
        )

    def check(self) -> list[str]:
        """Whether the file is there and fits the memory; loads nothing."""
        if not self._path.is_file():
            return [f"{self.name}: {self._path} does not exist; fetch it with `rag models pull {self.name}`"]
        problems = []
        with self._path.open("rb") as f:
            if f.read(4) != b"GGUF":
                problems.append(f"{self.name}: {self._path} is not a GGUF file; remove it and run `rag models pull`")
        if self._server is None and (short := self._memory_problem()):
            problems.append(short)
        return problems

    def close(self) -> None:
        """Frees the model."""
        self._closing.set()
        with self._lock:
            self._interrupt()
        # A thread that still reads (ahead, or the fixed beginning) stops at its next batch; the library must not go before it.
        held = [self._turns.acquire(timeout=5) for _ in range(self._parallel)]
        with self._lock:
            self._server = None
        for got in held:
            if got:
                self._turns.release()

    def _turn(self, cancel: Event | None) -> _Turn:
        return _Turn(self._turns, cancel)

    def _memory_problem(self) -> str | None:
        needed = self._path.stat().st_size * 1.2 + 256 * 2**20
        available = psutil.virtual_memory().available
        if needed <= available:
            return None
        return (
            f"{self.name}: needs about {needed / 2**30:.1f} GiB of memory and {available / 2**30:.1f} GiB are free; "
            "choose a smaller model (`rag models fit` says which fit)"
        )

    def _load(self) -> Any:
        with self._lock:
            if self._server is not None:
                return self._server
            if not self._path.is_file():
                raise ModelUnavailable(
                    f"{self.name}: {self._path} does not exist; fetch it with `rag models pull {self.name}`"
                )
            if problem := self._memory_problem():
                raise GeneratorOutOfMemory(problem)
            self._server = self._start()
            return self._server

    def _start(self) -> Any:
        # llama.cpp's threads wait for each other some hundred times a token, for microseconds. Spinning as long as it takes makes answers two
        # to three times slower on a machine that does anything else at the same time (embedding, serving, a second model); going to
        # sleep at once costs a quarter of the writing speed of an idle one. So they look a few hundred times and then sleep.
        # Read by OpenMP once, when the library is loaded; the operator's own choice is kept.
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ["OMP_WAIT_POLICY"] = "passive"
            os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
        import xllamacpp

        try:
            server = xllamacpp.Server(self._parameters())
            _wait_until_it_answers(server)
            return server
        except (RuntimeError, ValueError, MemoryError, OSError) as e:
            raise GeneratorFailed(
                f"{self.name}: llama.cpp cannot load {self._path} ({e}); check it with `rag models pull {self.name}`"
            ) from e

    def _parameters(self) -> Any:
        import xllamacpp

        p = xllamacpp.CommonParams()
        p.model.path = str(self._path)
        # One place more than answers at a time: it keeps the state of the other language's prompts, which the fixed beginning tells apart,
        # and of requests to confirm an answer; what no place is left for waits in memory (`cache_ram_mib`).
        p.n_parallel = self._parallel + 1
        p.n_ctx = self.context_length * p.n_parallel
        p.cpuparams.n_threads = p.cpuparams_batch.n_threads = self._threads
        p.n_batch = p.n_ubatch = PROMPT_BATCH
        p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
        p.cache_ram_mib = PROMPT_CACHE_MIB
        p.warmup = False
        p.verbosity = 0
        p.fit_params = False  # it would lower the context in silence
        p.api_keys = [self._key]
        p.cors_origins = "null"
        p.ui = p.endpoint_slots = p.endpoint_metrics = p.endpoint_props = False
        if self._lora is not None:
            p.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(self._lora), 1.0)]
        return p

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        url = _address(self._load()) + path
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with _open(request) as response:
                read: dict[str, Any] = json.load(response)
                return read
        except (urllib.error.URLError, ValueError) as e:
            raise GeneratorFailed(f"{self.name}: llama.cpp does not count tokens ({e}); restart the program") from e

    def _failure(self, error: Mapping[str, Any]) -> GeneratorFailed:
        message = str(error.get("message", error))
        if error.get("type") == "exceed_context_size_error" or "context size" in message:
            return PromptTooLong(
                f"{self.name}: the prompt has {error.get('n_prompt_tokens', 'too many')} tokens and the context "
                f"{self.context_length}; ask a shorter question or lower RAG_SOURCE_TOKENS"
            )
        return GeneratorFailed(f"{self.name}: {message}; ask again, and run `rag doctor` if it happens again")


def _wait_until_it_answers(server: Any) -> None:
    """A server that is given up before its thread listens misses the request to stop, and whoever gives it up waits for ever: a program that
    ends as soon as the model is loaded."""
    with suppress(urllib.error.HTTPError), _open(f"{_address(server)}/health"):
        pass


def _address(server: Any) -> str:
    address = str(server.listening_address)
    return address if address.startswith("http") else f"http://{address}"


def _open(request: str | urllib.request.Request) -> Any:
    """The response of the engine's own server, which no proxy stands before."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30)


class _Turn:
    """A place in the queue before the model, given up as soon as the caller cancels."""

    def __init__(self, turns: Semaphore, cancel: Event | None) -> None:
        self._turns = turns
        self._cancel = cancel
        self._held = False

    def __enter__(self) -> bool:
        while not self._held:
            self._held = self._turns.acquire(timeout=0.1)
            if not self._held and self._cancel is not None and self._cancel.is_set():
                return False
        return True

    def __exit__(self, *_: object) -> None:
        if self._held:
            self._turns.release()
