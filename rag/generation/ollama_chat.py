"""A model served by Ollama, through its official client, which has its home here.

What its servers taught (recorded exchanges of version 0.24): an over-long prompt is cut in silence unless `truncate` and `shift`
are false; `num_ctx` is 4096 whatever the model can do, and a changed value reloads the model; a model made from a bare GGUF
can have the template `{{ .Prompt }}` and then rambles to the end of its context, so `num_predict` is always set; errors come
inside a stream of status 200.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import ollama

from rag.errors import (
    GeneratorBusy,
    GeneratorDown,
    GeneratorFailed,
    GeneratorOutOfMemory,
    GeneratorTimeout,
    ModelMissing,
    PromptTooLong,
    StreamBroken,
)
from rag.generation.chances import LIKELIEST, AsksServer, First
from rag.generation.completion_body import plain
from rag.generation.prompt_memory import PromptMemory
from rag.generation.stream_bridge import bridge_async, run_async
from rag.generation.token_estimate import estimate_messages
from rag.types import GenerationEnd, Message, TextDelta

KEEP_ALIVE = "30m"
SOURCE_TOKENS = 450
BARE_TEMPLATE = "{{ .Prompt }}"


class _ExactPrompts(httpx.AsyncBaseTransport):
    """Adds `truncate: false, shift: false` to every chat, which the client cannot say: a prompt that does not fit is then an
    error instead of an answer to half of it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/api/chat"):
            body = json.loads(await request.aread()) | {"truncate": False, "shift": False}
            headers = [
                (k, v) for k, v in request.headers.raw if k.lower() not in (b"content-length", b"transfer-encoding")
            ]
            request = httpx.Request(
                request.method, request.url, headers=headers, json=body, extensions=request.extensions
            )
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class OllamaGenerator(AsksServer):
    """Generator over one model of an Ollama server. `host` None = OLLAMA_HOST, as Ollama's own client reads it."""

    def __init__(
        self,
        model: str,
        *,
        host: str | None = None,
        context_length: int = 4096,
        timeout: float = 120.0,
        transport: Callable[[], httpx.AsyncBaseTransport] = httpx.AsyncHTTPTransport,
    ) -> None:
        self.name = model
        self.context_length = context_length
        self._host = host
        self._timeout = timeout
        self._transport = transport
        self.memory = PromptMemory()  # these servers keep the state of a prompt's beginning, too

    def source_tokens(self) -> int:
        """Tokens of sources in a prompt: a server of this kind often runs on a CPU."""
        return SOURCE_TOKENS

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """An upper estimate: the server counts only what it reads."""
        return estimate_messages(messages)

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
        first: First | None = None,
    ) -> Generator[TextDelta | GenerationEnd]:
        """See rag.protocols.Generator. `first`, when given, gets the likeliest first tokens."""
        options: dict[str, Any] = {
            "num_ctx": self.context_length,
            "num_predict": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        if stop:
            options["stop"] = list(stop)

        async def parts() -> AsyncIterator[ollama.ChatResponse]:
            async with self._client() as client:
                async for part in await client.chat(
                    model=self.name,
                    messages=plain(messages),
                    stream=True,
                    logprobs=True if first is not None else None,
                    top_logprobs=LIKELIEST if first is not None else None,
                    format=dict(schema) if schema is not None else None,
                    options=options,
                    keep_alive=KEEP_ALIVE,
                ):
                    yield part

        ended = False
        try:
            for part in bridge_async(parts, cancel=cancel, timeout=self._timeout, name=self.name):
                if first is not None and not first and part.logprobs:
                    first.extend((t.token or "", t.logprob or 0.0) for t in part.logprobs[0].top_logprobs or ())
                if part.message.content:
                    yield TextDelta(part.message.content)
                if part.done:
                    ended = True
                    yield GenerationEnd(
                        "length" if part.done_reason == "length" else "stop",
                        part.prompt_eval_count or 0,
                        0,  # the server does not say what it had cached
                        part.eval_count or 0,
                    )
        except (ollama.ResponseError, ConnectionError, httpx.HTTPError, ValueError, TypeError) as e:
            raise self._failure(e) from e
        if ended:
            return
        if cancel is not None and cancel.is_set():
            yield GenerationEnd("cancelled", 0, 0, 0)
            return
        raise StreamBroken(f"{self.name}: Ollama ended the answer in the middle; ask again")

    def check(self) -> list[str]:
        """Server down, model missing, no chat template, a model that cannot chat."""
        try:
            shown = run_async(self._show())
        except GeneratorFailed as e:
            return [str(e)]
        problems = []
        if (shown.template or "").strip() == BARE_TEMPLATE:
            problems.append(
                f"{self.name}: the model has no chat template (it is {BARE_TEMPLATE!r}) and would ramble; create it again with a "
                "Modelfile that has TEMPLATE and PARAMETER stop (`rag tune export --ollama` writes one)"
            )
        if shown.capabilities and "completion" not in shown.capabilities:
            problems.append(
                f"{self.name}: this model cannot chat (it can {', '.join(shown.capabilities)}); choose another"
            )
        longest = max((v for k, v in (shown.modelinfo or {}).items() if k.endswith(".context_length")), default=None)
        if longest is not None and longest < self.context_length:
            problems.append(f"{self.name}: reads {longest} tokens at most and {self.context_length} are asked for")
        return problems

    def close(self) -> None:
        """Every stream has a connection of its own; nothing is held."""

    def models(self) -> list[str]:
        """Names of the models that the server has and that can chat, the newest first. Raises GeneratorDown."""

        async def names() -> list[str]:
            async with self._client(seconds=3) as client:
                listed = (await client.list()).models
                newest = sorted(listed, key=lambda m: str(m.modified_at or ""), reverse=True)
                return [
                    m.model for m in newest if m.model and (m.details is None or m.details.family not in _EMBEDDERS)
                ]

        return run_async(self._asked(names()))

    def pull(self, progress: Callable[[str, int, int], None] = lambda *_: None) -> None:
        """Makes the server fetch the model; `progress` gets a status, bytes done and bytes in all."""

        async def run() -> None:
            async with self._client() as client:
                async for part in await client.pull(self.name, stream=True):
                    progress(part.status or "", part.completed or 0, part.total or 0)

        run_async(self._asked(run()))

    def create(
        self, gguf: Path, template: str, stop: Sequence[str], parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Makes a model of the server from a GGUF file, with its template and stop tokens written out."""

        async def run() -> None:
            async with self._client() as client:
                digest = await client.create_blob(gguf)
                async for _ in await client.create(
                    self.name,
                    files={gguf.name: digest},
                    template=template,
                    parameters={"stop": list(stop), **(parameters or {})},
                    stream=True,
                ):
                    pass

        run_async(self._asked(run()))

    async def _show(self) -> ollama.ShowResponse:
        async def show() -> ollama.ShowResponse:
            async with self._client(seconds=10) as client:
                return await client.show(self.name)

        return await self._asked(show())

    async def _asked(self, call: Any) -> Any:
        try:
            return await call
        except (
            ollama.ResponseError,
            ConnectionError,
            httpx.HTTPError,
            json.JSONDecodeError,
            TypeError,
            ValueError,
        ) as e:
            raise self._failure(e) from e

    def _client(self, seconds: float | None = None) -> ollama.AsyncClient:
        limit = httpx.Timeout(seconds or self._timeout, connect=5.0)
        return ollama.AsyncClient(
            self._host, timeout=limit, transport=_ExactPrompts(self._transport()), follow_redirects=False
        )

    def _failure(self, error: Exception) -> GeneratorFailed:
        text = " ".join(str(getattr(error, "error", None) or error or type(error).__name__).split())[:300]
        status = getattr(error, "status_code", None)
        low = text.lower()
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return GeneratorTimeout(
                f"{self.name}: Ollama is silent for {self._timeout:.0f} s; try again or a smaller model"
            )
        if isinstance(error, ConnectionError | httpx.ConnectError | httpx.ConnectTimeout):
            return GeneratorDown(
                "Ollama does not answer; start it with `ollama serve`, set OLLAMA_HOST, or use RAG_GENERATOR=embedded"
            )
        if status == 404 or "not found" in low:
            return ModelMissing(f"{self.name}: Ollama does not have this model; get it with `ollama pull {self.name}`")
        if status == 503 or "busy" in low:
            return GeneratorBusy(f"{self.name}: Ollama is busy ({text}); try again in a moment")
        if "context length" in low:
            return PromptTooLong(
                f"{self.name}: the prompt does not fit {self.context_length} tokens; ask a shorter question or lower RAG_SOURCE_TOKENS"
            )
        if "requires more system memory" in low or "out of memory" in low or "cudamalloc" in low:
            return GeneratorOutOfMemory(f"{self.name}: does not fit in memory ({text}); choose a smaller model")
        if isinstance(error, TypeError | ValueError):
            return GeneratorFailed(
                f"{self.name}: what answers at the Ollama address is not Ollama ({text}); check OLLAMA_HOST and any proxy"
            )
        if status in (None, -1):
            return StreamBroken(f"{self.name}: Ollama stopped in the middle of the answer ({text}); ask again")
        return GeneratorFailed(f"{self.name}: Ollama answered {status} ({text}); `ollama ps` and its log say more")


_EMBEDDERS = frozenset({"bert", "nomic-bert", "xlm-roberta"})  # model families that only embed
