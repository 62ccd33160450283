"""The knowledge base as LangChain objects: `RagRetriever` and `RagChat`. The home of langchain_core.

Both talk to a running service (`url`, `key`) or to a home folder in this process (`home`):

    RagRetriever(url="http://127.0.0.1:8600", k=5).invoke("annual leave")
    RagChat(home=".ragbase").invoke("How many days of annual leave do I get?").response_metadata["citations"]
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import httpx
from langchain_core.callbacks import CallbackManagerForLLMRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever
from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from rag.errors import RagError, UsageError
from rag.settings import Settings
from rag.types import AnswerDone, AskRequest, Message, SearchRequest, SourcesFound, TextDelta
from rag.wire import answer_json, search_json
from rag.wiring import Services

_ROLES = {"human": "user", "ai": "assistant", "system": "system"}


class ServiceRefused(RagError):
    """The service answered with an error; the message is its own."""


class _Source(Protocol):
    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON of a search."""
        ...

    def chat(self, messages: list[dict[str, str]], collection: str | None) -> Iterator[str | dict[str, Any]]:
        """Pieces of text, then the JSON of the answer."""
        ...


class _Remote:
    """A running service."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=timeout)
        weakref.finalize(self, self._client.close)

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = _checked(self._client.post("/search", json=body)).json()
        return found

    def chat(self, messages: list[dict[str, str]], collection: str | None) -> Iterator[str | dict[str, Any]]:
        body = {"question": messages[-1]["content"], "stream": True, "history": messages[:-1]}
        if collection:
            body["collection"] = collection
        with self._client.stream("POST", "/ask", json=body) as response:
            if response.is_error:
                response.read()
                _checked(response)
            name = ""
            for line in response.iter_lines():
                kind, _, rest = line.partition(": ")
                if kind == "event":
                    name = rest
                elif kind == "data" and name == "delta":
                    yield json.loads(rest)["text"]
                elif kind == "data" and name == "done":
                    yield json.loads(rest)
                elif kind == "data" and name == "error":
                    raise ServiceRefused(json.loads(rest)["error"]["message"])


class _Local:
    """A home folder, in this process."""

    def __init__(self, home: Path) -> None:
        self._services = Services(Settings.load(home=home))
        weakref.finalize(self, self._services.close)

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = dict(body)
        collection = wanted.pop("collection", None)
        return search_json(self._services.retriever(collection).search(SearchRequest(**wanted)))

    def chat(self, messages: list[dict[str, str]], collection: str | None) -> Iterator[str | dict[str, Any]]:
        history = tuple(Message(m["role"], m["content"]) for m in messages[:-1])  # type: ignore[arg-type]
        request = AskRequest(SearchRequest(messages[-1]["content"], history=history))
        for event in self._services.answerer(collection).stream(request):
            match event:
                case TextDelta(text):
                    yield text
                case AnswerDone(answer):
                    yield answer_json(answer)
                case SourcesFound():
                    pass


class _Connection(BaseModel):
    """Where the documents are. Give `url` or `home`."""

    model_config = ConfigDict(arbitrary_types_allowed=True, ignored_types=(cached_property,))

    url: str = ""
    key: SecretStr = SecretStr("")
    home: Path | None = None
    collection: str | None = None
    timeout: float = 180.0  # seconds

    @model_validator(mode="after")
    def _one_of_both(self) -> _Connection:
        if bool(self.url) == (self.home is not None):
            raise ValueError("give either the url of a running service or the home folder")
        return self

    @cached_property
    def _source(self) -> _Source:
        if self.home is not None:
            return _Local(self.home)
        return _Remote(self.url, self.key.get_secret_value(), self.timeout)


class RagRetriever(_Connection, BaseRetriever):
    """Passages as LangChain documents; metadata: document, title, path, page, heading, span, score, rank."""

    k: int = 10
    mode: str = "hybrid"
    filter: str = ""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        body = {"question": query, "k": self.k, "mode": self.mode, "filter": self.filter}
        if self.collection:
            body["collection"] = self.collection
        kept = ("document", "title", "path", "page", "heading", "span", "score", "rank", "date")
        return [
            Document(page_content=hit["text"], metadata={name: hit[name] for name in kept})
            for hit in self._source.search(body)["hits"]
        ]


class RagChat(_Connection, BaseChatModel):
    """A chat model that answers from the documents. `response_metadata`: citations, sentences, status, model_name."""

    @property
    def _llm_type(self) -> str:
        return "ragbase"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"url": self.url, "home": str(self.home or ""), "collection": self.collection}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = next(p for p in self._source.chat(_turns(messages), self.collection) if isinstance(p, dict))
        message = AIMessage(content=answer["answer"], response_metadata=_facts(answer), usage_metadata=_usage(answer))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for piece in self._source.chat(_turns(messages), self.collection):
            if isinstance(piece, str):
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
                if run_manager is not None:
                    run_manager.on_llm_new_token(piece, chunk=chunk)
            else:
                last = AIMessageChunk(
                    content="",
                    response_metadata=_facts(piece),
                    usage_metadata=_usage(piece),
                    chunk_position="last",
                )
                chunk = ChatGenerationChunk(message=last)
            yield chunk


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        try:
            message = response.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = f"the address answered {response.status_code} and is not this service"
        raise ServiceRefused(message)
    return response


def _turns(messages: Sequence[BaseMessage]) -> list[dict[str, str]]:
    """Roles and texts; the last one must be the question."""
    turns = [{"role": _ROLES[m.type], "content": m.text} for m in messages if m.type in _ROLES]
    if not turns or turns[-1]["role"] != "user":
        raise UsageError("the last message must be the question (a HumanMessage)")
    return [t for t in turns if t["role"] != "system"]


def _facts(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_name": answer["model"],
        "citations": answer["citations"],
        "sentences": answer["sentences"],
        "status": answer["status"],
        "generation": answer["generation"],
        "finish_reason": answer["finish_reason"],
    }


def _usage(answer: dict[str, Any]) -> UsageMetadata:
    t = answer["timings"]
    return UsageMetadata(
        input_tokens=t["prompt_tokens"],
        output_tokens=t["answer_tokens"],
        total_tokens=t["prompt_tokens"] + t["answer_tokens"],
    )
