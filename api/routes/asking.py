"""POST /search and POST /ask: a question to passages, or to an answer with its proof."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.answering import Failed, Run, Waiting, started
from api.auth import caller
from api.error_responses import describe
from api.event_stream import EventStream, event, while_connected
from api.questions import ask_request, search_request
from api.response_schemas import AnswerOut, SearchOut
from api.routes.responses import STREAM, errors
from api.schemas import AskBody, SearchBody
from api.service import service_of
from rag.types import AnswerDone, SourcesFound, TextDelta
from rag.wire import answer_json, hit_json, search_json

router = APIRouter(tags=["questions"])


@router.post("/search", responses={200: {"model": SearchOut}, **errors(404, 503)})
async def search(body: SearchBody, request: Request) -> Response:
    """The passages that speak of a question, best first."""
    service = service_of(request)
    wanted = search_request(body, caller(request), service.settings)
    found = await service.search(lambda: service.services.retriever(body.collection).search(wanted))
    return JSONResponse(search_json(found, wanted.question))


@router.post(
    "/ask",
    responses={200: {"model": AnswerOut, "content": STREAM}, **errors(404, 499, 502, 503, 504)},
)
async def ask(body: AskBody, request: Request) -> Response:
    """An answer from the documents alone, with citations and a verdict on every sentence.

    With `stream`, server-sent events: `queue` {position, seconds}, `sources` {hits, generation}, `delta` {text}, and at the end `done` (the
    answer) or `error`. When the model is down, `error.details.search` holds the passages that were found.
    """
    service = service_of(request)
    who = caller(request)
    wanted = ask_request(body, who, service.settings)
    collection = body.collection or service.settings.collection
    run = await started(service, wanted, collection, who.key, "/ask")
    if isinstance(run, Failed):
        return refused(run)
    if body.stream:
        early = await run.primed()
        return refused(early) if early is not None else EventStream(_events(run), run.cancel)
    end = await while_connected(request, run.finished(), run.cancel)
    if end is None:
        return Response(status_code=499)
    if isinstance(end, Failed):
        return refused(end)
    return JSONResponse({"id": run.id, **answer_json(end.answer)})


def refused(failed: Failed) -> Response:
    """The error response of a run that has no answer."""
    status, body, headers = describe(failed.error, failed.details)
    return JSONResponse(body, status, headers=headers)


async def _events(run: Run) -> AsyncIterator[str]:
    async for e in run:
        match e:
            case Waiting(position, seconds):
                yield event({"position": position, "seconds": round(seconds, 1)}, "queue")
            case SourcesFound(hits, generation):
                yield event({"hits": [hit_json(h) for h in hits], "generation": generation}, "sources")
            case TextDelta(text):
                yield event({"text": text}, "delta")
            case AnswerDone(answer):
                yield event({"id": run.id, **answer_json(answer)}, "done")
            case Failed(error, details):
                yield event(describe(error, details)[1], "error")
