"""A model behind an OpenAI-compatible server: vLLM, TGI, llama-server, or a service. Plain httpx: server-sent events are lines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from threading import Event
from typing import Any

import httpx

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
from rag.generation.chances import AsksServer, First, first_tokens
from rag.generation.completion_body import completion_body
from rag.generation.prompt_memory import PromptMemory
from rag.generation.stream_bridge import bridge_async, run_async
from rag.generation.token_estimate import estimate_messages
from rag.types import GenerationEnd, Message, TextDelta

SOURCE_TOKENS = 900


class OpenAIGenerator(AsksServer):
    """Generator over `POST <base_url>/chat/completions`. `base_url` ends where the OpenAI client's does: ".../v1"."""

    keeps_prompts = True  # vLLM and TGI as many as fit, llama-server one for each answer at a time

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key: str = "",
        context_length: int = 4096,
        timeout: float = 120.0,
        transport: Callable[[], httpx.AsyncBaseTransport] = httpx.AsyncHTTPTransport,
    ) -> None:
        self.name = model
        self.context_length = context_length
        self._base = base_url.rstrip("/")
        self._key = key
        self._timeout = timeout
        self._transport = transport
        self.memory = PromptMemory()  # these servers keep the state of a prompt's beginning, too

    def source_tokens(self) -> int:
        """Tokens of sources in a prompt."""
        return SOURCE_TOKENS

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """An upper estimate."""
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
        body = {"model": self.name} | completion_body(
            messages,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            stop=stop,
            schema=schema,
            chances=first is not None,
        )

        async def events() -> AsyncIterator[dict[str, Any]]:
            async with self._client() as client, client.stream("POST", "/chat/completions", json=body) as response:
                if response.status_code != 200:
                    raise self._refused(response.status_code, (await response.aread()).decode("utf-8", "replace"))
                if "text/event-stream" not in response.headers.get("content-type", ""):
                    raise self._not_openai(f"content type {response.headers.get('content-type', 'missing')}")
                async for line in response.aiter_lines():
                    data = line.removeprefix("data:").strip()
                    if line.startswith("data:") and data == "[DONE]":
                        return
                    if line.startswith("data:") and data:
                        yield json.loads(data)

        finish: str | None = None
        usage: Mapping[str, Any] = {}
        try:
            for event in bridge_async(events, cancel=cancel, timeout=self._timeout, name=self.name):
                if "error" in event:
                    raise self._refused(None, json.dumps(event))
                usage = event.get("usage") or usage
                for choice in event.get("choices", ()):
                    finish = choice.get("finish_reason") or finish
                    if first is not None and not first:
                        first.extend(first_tokens(choice))
                    if text := (choice.get("delta") or {}).get("content"):
                        yield TextDelta(text)
        except httpx.TimeoutException as e:
            if isinstance(e, httpx.ConnectTimeout):
                raise self._down(e) from e
            raise GeneratorTimeout(f"{self.name}: {self._base} is silent for {self._timeout:.0f} s; try again") from e
        except httpx.ConnectError as e:
            raise self._down(e) from e
        except httpx.HTTPError as e:
            raise StreamBroken(f"{self.name}: {self._base} broke off ({e or type(e).__name__}); ask again") from e
        except (json.JSONDecodeError, AttributeError, TypeError) as e:
            raise self._not_openai(str(e)) from e
        if cancel is not None and cancel.is_set() and finish is None:
            yield GenerationEnd("cancelled", 0, 0, 0)
            return
        if finish is None:
            raise StreamBroken(f"{self.name}: {self._base} ended the answer in the middle; ask again")
        yield GenerationEnd(
            "length" if finish == "length" else "stop",
            usage.get("prompt_tokens") or 0,
            (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            usage.get("completion_tokens") or 0,
        )

    def check(self) -> list[str]:
        """Server down, key refused, model missing."""

        async def listed() -> httpx.Response:
            async with self._client(seconds=10) as client:
                return await client.get("/models")

        try:
            response = run_async(listed())
            if response.status_code != 200:
                return [str(self._refused(response.status_code, response.text))]
            names = [m["id"] for m in response.json()["data"]]
        except httpx.HTTPError as e:
            return [str(self._down(e))]
        except (ValueError, KeyError, TypeError) as e:
            return [str(self._not_openai(str(e)))]
        if names and self.name not in names:
            return [f"{self.name}: {self._base} does not have this model; it has {', '.join(names[:5])}"]
        return []

    def close(self) -> None:
        """Every stream has a connection of its own; nothing is held."""

    def _client(self, seconds: float | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._base,
            timeout=httpx.Timeout(seconds or self._timeout, connect=5.0),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            transport=self._transport(),
        )

    def _down(self, error: Exception) -> GeneratorDown:
        return GeneratorDown(
            f"{self.name}: no server answers at {self._base} ({error or type(error).__name__}); start it or change RAG_GENERATOR"
        )

    def _not_openai(self, why: str) -> GeneratorFailed:
        return GeneratorFailed(
            f"{self.name}: {self._base} does not speak the OpenAI protocol ({why[:120]}); the address usually ends in /v1"
        )

    def _refused(self, status: int | None, body: str) -> GeneratorFailed:
        try:
            error = json.loads(body).get("error", body)
            text = str(error.get("message", error) if isinstance(error, dict) else error)
        except (ValueError, AttributeError):
            text = body
        text = " ".join(text.split())[:240]
        low = text.lower()
        if status in (401, 403):
            return GeneratorFailed(f"{self.name}: {self._base} refuses the key ({status}); set RAG_GENERATOR_KEY")
        if "context" in low and ("length" in low or "size" in low):
            return PromptTooLong(f"{self.name}: the prompt does not fit ({text}); ask a shorter question")
        if status == 404 or ("model" in low and "not" in low and ("found" in low or "exist" in low)):
            return ModelMissing(f"{self.name}: {self._base} does not have this model ({text}); pull or load it there")
        if status in (429, 503):
            return GeneratorBusy(f"{self.name}: {self._base} is busy ({text or status}); try again in a moment")
        if "out of memory" in low:
            return GeneratorOutOfMemory(f"{self.name}: the server is out of memory ({text}); choose a smaller model")
        if status is None:
            return StreamBroken(f"{self.name}: {self._base} stopped in the middle ({text}); ask again")
        return GeneratorFailed(f"{self.name}: {self._base} answered {status} ({text})")
