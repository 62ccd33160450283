"""Is it alive, can it answer, and what are its numbers."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.auth import AdminRoute, caller
from api.response_schemas import Error, HealthOut, MeOut, ReadyOut, TracesOut
from api.routes.responses import errors
from api.service import service_of

public = APIRouter(tags=["health"])
router = APIRouter(tags=["health"])
admin = APIRouter(tags=["health"], route_class=AdminRoute)

_REFUSALS: dict[int | str, dict[str, Any]] = {s: {"model": Error} for s in (400, 403, 413, 421)}


@public.get("/healthz", responses={200: {"model": HealthOut}, **_REFUSALS})
async def healthz() -> Response:
    """The process runs. Nothing else is looked at, so it answers under any load."""
    return JSONResponse({"status": "ok", "version": version("ragbase")})


@public.get("/readyz", responses={200: {"model": ReadyOut}, 503: {"model": ReadyOut}, **_REFUSALS})
async def readyz(request: Request) -> Response:
    """200 when questions can come: `ready`, or `degraded` (the model does not answer, search does). 503 while models are loaded
    at start, when the collection cannot be used, and while the service stops. Details of faults are for keys alone."""
    service = service_of(request)
    state = await service.check(service.readiness.state)
    status = 200 if state.ok and not service.stopping.is_set() else 503
    return JSONResponse(
        {
            "status": state.status,
            "search": "unusable" if state.search else "",
            "answers": ["unusable"] if state.answers else [],
        },
        status,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **errors()},
)
async def metrics(request: Request) -> Response:
    """The numbers of the service in Prometheus' format."""
    service = service_of(request)
    service.gauges()
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


@router.get("/me", responses={200: {"model": MeOut}, **errors()})
async def me(request: Request) -> Response:
    """Who the caller is, and what it may see."""
    who = caller(request)
    groups = None if who.groups is None else sorted(who.groups)
    return JSONResponse({"name": who.name, "admin": who.admin, "groups": groups, "open": who.key == "open"})


@admin.get("/status", responses={200: {"model": ReadyOut}, **errors()})
async def status(request: Request) -> Response:
    """What /readyz says, with the faults in words and the next steps."""
    service = service_of(request)
    state = await service.check(service.readiness.state)
    return JSONResponse({"status": state.status, "search": state.search, "answers": list(state.answers)})


@admin.get("/traces", responses={200: {"model": TracesOut}, **errors()})
async def traces(request: Request) -> Response:
    """The newest hundred answered requests: seconds per stage, counts, no text."""
    service = service_of(request)
    found = await service.book(service.ledger.traces)
    keys = ("id", "created", "key", "route", "status", "facts", "stages")
    return JSONResponse({"traces": [{k: getattr(t, k) for k in keys} for t in found]})
