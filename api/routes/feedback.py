"""What readers say of answers, and the questions that the documents did not answer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.auth import AdminRoute, caller
from api.response_schemas import FeedbackGiven, FeedbackList, GapsOut
from api.routes.responses import errors
from api.schemas import FeedbackBody, Name
from api.service import service_of

router = APIRouter(tags=["feedback"])
admin = APIRouter(tags=["feedback"], route_class=AdminRoute)


@router.post("/feedback", status_code=201, responses={201: {"model": FeedbackGiven}, **errors()})
async def give(body: FeedbackBody, request: Request) -> Response:
    """Keeps a judgement. A question whose answer was judged `down` becomes a content gap."""
    service = service_of(request)
    key = caller(request).key
    collection = body.collection or service.settings.collection

    def keep() -> str:
        given = service.ledger.add_feedback(
            key, collection, body.answer_id, body.rating, body.comment, body.question, body.answer
        )
        if body.rating == "down" and body.question.strip():
            service.ledger.add_gap(collection, body.question.strip(), "down")
        return given.id

    id_ = await service.book(keep)
    service.metrics.feedback.labels(body.rating).inc()
    return JSONResponse({"id": id_}, 201)


@admin.get("/feedback", responses={200: {"model": FeedbackList}, **errors()})
async def listed(request: Request) -> Response:
    """The newest hundred judgements."""
    service = service_of(request)
    return JSONResponse({"feedback": [asdict(f) for f in await service.book(service.ledger.feedback)]})


@admin.get("/gaps", responses={200: {"model": GapsOut}, **errors()})
async def gaps(request: Request) -> Response:
    """The questions that were refused or judged `down`, most asked first."""
    service = service_of(request)
    return JSONResponse({"gaps": [asdict(g) for g in await service.book(service.ledger.gaps)]})


@admin.delete("/gaps", status_code=204, response_class=Response, responses=errors(404))
async def close(
    request: Request,
    collection: Name,
    question: Annotated[str, Query(min_length=1, max_length=20_000)],
) -> Response:
    """Forgets a gap that was filled."""
    service = service_of(request)
    await service.book(lambda: service.ledger.close_gap(collection, question))
    return Response(status_code=204)
