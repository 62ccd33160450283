"""The tools of the service for language-model clients: the Model Context Protocol over streamable HTTP at /mcp.

The home of mcp. Stateless: every request carries its key, and a tool sees what that key may see and nothing more.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from mcp.server import MCPServer, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import Field
from starlette.types import Message, Receive, Scope, Send

from api.answering import Failed, started
from api.auth import Caller, caller
from api.error_responses import error_response
from api.questions import ask_request, search_request
from api.schemas import AskBody, SearchBody
from api.service import Service
from rag.errors import RagError
from rag.wire import answer_json, search_json

READ_CHARACTERS = 40_000

Question = Annotated[
    str, Field(min_length=1, max_length=8000, description="In Chinese or English, as one would ask a colleague.")
]
Collection = Annotated[str | None, Field(description="Leave out for the default collection.")]
_READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)


class Tools:
    """The ASGI application behind /mcp. Only POST: without sessions there is nothing to listen to or to end."""

    def __init__(self, service: Service) -> None:
        made = server(service)
        # Host and Origin are checked for the whole service, before anything comes here.
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        made.streamable_http_app(json_response=True, stateless_http=True, transport_security=unchecked)
        self._manager = made.session_manager

    def running(self) -> AbstractAsyncContextManager[None]:
        """Must be entered for as long as requests come."""
        return self._manager.run()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            refusal = error_response(
                405, "only POST is taken here: this is a stateless MCP server", headers={"Allow": "POST"}
            )
            await refusal(scope, receive, send)
            return
        body = await receive()  # whole: the limits before us have gathered it
        waiting = [body]

        async def replay() -> Message:
            return waiting.pop() if waiting else await asyncio.Future()

        work = asyncio.create_task(self._manager.handle_request(scope, replay, send))
        left = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            work.cancel()  # the client has left: its tool call ends, and the model with it
            left.cancel()
            await asyncio.gather(work, left, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def server(service: Service) -> MCPServer[Any]:
    """The tools: search, ask, read_document, list_documents."""
    tools: MCPServer[Any] = MCPServer(
        "ragbase",
        title="Company documents",
        instructions="Answers from the company's own documents. `search` finds passages, `ask` gives a cited answer, `read_document` shows what "
        "stands around a passage. Cite document and page when you use what you found.",
        log_level="WARNING",
    )

    @tools.tool(annotations=_READ_ONLY)
    async def search(
        question: Question,
        ctx: Context,
        k: Annotated[int, Field(ge=1, le=50)] = 8,
        filter: Annotated[
            str, Field(max_length=500, description='For example "path=policies/* date>=2025-01-01 lang=en"')
        ] = "",
        collection: Collection = None,
    ) -> str:
        """Passages of the documents that speak of a question, best first, as JSON."""
        wanted = search_request(SearchBody(question=question, k=k, filter=filter), _caller(ctx), service.settings)
        found = await service.search(lambda: service.services.retriever(collection).search(wanted))
        return _json(search_json(found, question))

    @tools.tool(annotations=_READ_ONLY)
    async def ask(question: Question, ctx: Context, collection: Collection = None) -> str:
        """An answer from the documents alone, as JSON: text, citations, and a verdict on every sentence. `abstained` = they do not say."""
        who = _caller(ctx)
        wanted = ask_request(AskBody(question=question), who, service.settings)
        run = await started(service, wanted, collection or service.settings.collection, who.key, "/mcp ask")
        if isinstance(run, Failed):
            raise run.error
        try:
            end = await run.finished()
        finally:
            run.cancel()  # when the client left; harmless after the end
        if isinstance(end, Failed):
            raise end.error
        return _json(answer_json(end.answer))

    @tools.tool(annotations=_READ_ONLY)
    async def read_document(
        document: Annotated[str, Field(max_length=200, description="The `document` of a hit or a citation.")],
        ctx: Context,
        start: Annotated[int, Field(ge=0, description="First character wanted.")] = 0,
        length: Annotated[int, Field(ge=1, le=READ_CHARACTERS)] = 8000,
        collection: Collection = None,
    ) -> str:
        """A piece of a document's text, as JSON."""
        groups = _caller(ctx).groups

        def read() -> dict[str, Any]:
            found = service.services.collection(collection).snapshot().document(document, groups)
            return {
                "document": found.id,
                "title": found.title,
                "path": found.path,
                "start": start,
                "characters": len(found.text),
                "text": found.text[start : start + length],
            }

        return _json(await service.search(read))

    @tools.tool(annotations=_READ_ONLY)
    async def list_documents(ctx: Context, collection: Collection = None) -> str:
        """The documents that may be read, as JSON."""
        groups = _caller(ctx).groups

        def read() -> list[dict[str, Any]]:
            found = service.services.collection(collection).snapshot().documents(groups)
            return [{"document": d.document, "title": d.title, "path": d.path, "date": d.date} for d in found[:1000]]

        return _json({"documents": await service.search(read)})

    return tools


def _caller(ctx: Context) -> Caller:
    """Who sent the HTTP request that this call came in."""
    context: ServerRequestContext[Any, Any] = ctx.request_context
    if context.request is None:
        raise RagError("the tools are served over HTTP only")
    return caller(context.request)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
