"""OpenAI's chat completions and model list, so that any client of theirs can talk with the documents."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.answering import Failed, Run, Waiting, started
from api.auth import caller
from api.error_responses import describe
from api.event_stream import EventStream, comment, event, while_connected
from api.questions import chat_request
from api.response_schemas import ChatOut, ModelsOut
from api.routes.asking import refused
from api.routes.responses import STREAM, errors
from api.schemas import ChatBody
from api.service import service_of
from rag.types import Answer, AnswerDone, SourcesFound, TextDelta
from rag.wire import citation_json, sentence_json

router = APIRouter(prefix="/v1", tags=["OpenAI"])

# OpenAI's word for an answer that was stopped.
_FINISH = {"stop": "stop", "length": "length", "cancelled": "stop"}


@router.get("/models", responses={200: {"model": ModelsOut}, **errors(502, 503, 504)})
async def models(request: Request) -> Response:
    """The one model that answers."""
    service = service_of(request)
    name = await service.search(lambda: service.services.generator().name)
    return JSONResponse(
        {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "ragbase"}]}
    )


@router.post(
    "/chat/completions", responses={200: {"model": ChatOut, "content": STREAM}, **errors(404, 499, 502, 503, 504)}
)
async def chat(body: ChatBody, request: Request) -> Response:
    """OpenAI's chat completion, answered from the documents. The extra field `citations` stands in the response, or in the last
    chunk when streamed; while the question waits, the stream has comments that tell its place in the queue."""
    service = service_of(request)
    who = caller(request)
    wanted = chat_request(body, who, service.settings)
    collection = body.collection or service.settings.collection
    run = await started(service, wanted, collection, who.key, "/v1/chat/completions")
    if isinstance(run, Failed):
        return refused(run)
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        early = await run.primed()
        return (
            refused(early)
            if early is not None
            else EventStream(_chunks(run, body.model or "ragbase", usage), run.cancel)
        )
    end = await while_connected(request, run.finished(), run.cancel)
    if end is None:
        return Response(status_code=499)
    if isinstance(end, Failed):
        return refused(end)
    return JSONResponse(_completion(run, end.answer))


def _completion(run: Run, answer: Answer) -> dict[str, Any]:
    return {
        "id": run.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": _FINISH[answer.finish_reason],
            }
        ],
        "usage": _usage(answer),
        **_proof(answer),
    }


def _usage(answer: Answer) -> dict[str, Any]:
    t = answer.timings
    return {
        "prompt_tokens": t.prompt_tokens,
        "completion_tokens": t.answer_tokens,
        "total_tokens": t.prompt_tokens + t.answer_tokens,
        "prompt_tokens_details": {"cached_tokens": t.cached_tokens},
    }


def _proof(answer: Answer) -> dict[str, Any]:
    return {
        "citations": [citation_json(c) for c in answer.citations],
        "sentences": [sentence_json(s) for s in answer.sentences],
        "status": answer.status,
        "generation": answer.generation,
    }


async def _chunks(run: Run, model: str, usage: bool) -> AsyncIterator[str]:
    created = int(time.time())

    def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> str:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        return event(
            {
                "id": run.id,
                "object": "chat.completion.chunk",
                "created": created,
                "model": model,
                "choices": choices,
                **more,
            }
        )

    yield chunk({"role": "assistant", "content": ""})
    said = ""
    async for e in run:
        match e:
            case Waiting(position, seconds):
                yield comment(f"in the queue: position {position}, about {seconds:.0f} s")
            case TextDelta(text):
                said += text
                yield chunk({"content": text})
            case AnswerDone(answer):
                model = answer.model
                if not said and answer.text:  # an answer that was decided without the model, or held back to be checked
                    yield chunk({"content": answer.text})
                proof = {**_proof(answer), "answer": answer.text}
                yield chunk({}, _FINISH[answer.finish_reason], **proof)
                if usage:
                    yield chunk(None, usage=_usage(answer), **proof)
                yield event("[DONE]")
            case Failed(error, details):
                yield event(describe(error, details)[1])
            case SourcesFound():
                pass
