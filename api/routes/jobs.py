"""Jobs: what uploads become. A job is seen by the key that asked for it and by admins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.auth import caller
from api.event_stream import EventStream, event
from api.response_schemas import JobOut, JobsOut
from api.routes.responses import STREAM, errors
from api.service import Service, service_of
from rag.errors import NotFound
from rag.storage.ledger import Job

router = APIRouter(tags=["jobs"])

JobId = Annotated[str, Path(max_length=100)]
LOOK_SECONDS = 0.3  # between two looks at a job


def job_json(job: Job) -> dict[str, Any]:
    """A job as HTTP has it."""
    return {
        "job": job.id,
        "kind": job.kind,
        "name": job.name,
        "state": job.state,
        "stage": job.stage,
        "done": job.done,
        "total": job.total,
        "created": job.created,
        "updated": job.updated,
        "report": job.report,
        "error": job.error,
    }


@router.get("/jobs", responses={200: {"model": JobsOut}, **errors()})
async def listed(request: Request) -> Response:
    """The newest hundred jobs of the caller; an admin sees everybody's."""
    service = service_of(request)
    who = caller(request)
    found = await service.book(service.ledger.jobs)
    return JSONResponse({"jobs": [job_json(j) for j in found if who.admin or j.owner == who.key]})


@router.get("/jobs/{job}", responses={200: {"model": JobOut}, **errors(404)})
async def one(job: JobId, request: Request) -> Response:
    """How far a job is."""
    return JSONResponse(job_json(await _seen(request, job)))


@router.get("/jobs/{job}/events", response_class=Response, responses={200: {"content": STREAM}, **errors(404)})
async def events(job: JobId, request: Request) -> Response:
    """Server-sent events `job` with the job whenever it changed, until it has ended."""
    service = service_of(request)
    first = await _seen(request, job)
    return EventStream(_changes(service, first), lambda: None)


@router.post("/jobs/{job}/cancel", responses={200: {"model": JobOut}, **errors(404)})
async def cancel(job: JobId, request: Request) -> Response:
    """Stops a job that has not ended; what it committed before stays."""
    service = service_of(request)
    await _seen(request, job)
    return JSONResponse(job_json(await service.book(lambda: service.jobs.cancel(job))))


async def _seen(request: Request, id_: str) -> Job:
    service = service_of(request)
    who = caller(request)
    job = await service.book(lambda: service.ledger.job(id_))
    if not who.admin and job.owner != who.key:
        raise NotFound(f"no job {id_[:80]}; GET /jobs lists them")
    return job


async def _changes(service: Service, job: Job) -> AsyncIterator[str]:
    last = job
    yield event(job_json(last), "job")
    while not last.finished and not service.stopping.is_set():
        await asyncio.sleep(LOOK_SECONDS)
        now = await service.book(lambda: service.ledger.job(job.id))
        if now != last:
            last = now
            yield event(job_json(last), "job")
