"""Documents: upload, list, look at (text or page picture, with a quote highlighted), delete."""

from __future__ import annotations

import tempfile
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Path, Query, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.auth import AdminRoute, caller
from api.questions import InvalidRequest
from api.response_schemas import DocumentDetail, DocumentsOut, JobOut, RemovedOut, TextOut
from api.routes.jobs import job_json
from api.routes.responses import errors
from api.schemas import Name
from api.service import Service, service_of
from rag.errors import CollectionLocked, NotFound
from rag.types import Document

router = APIRouter(tags=["documents"])
admin = APIRouter(tags=["documents"], route_class=AdminRoute)

DocumentId = Annotated[str, Path(max_length=200)]
PIECE = 20_000  # characters of text in one response, unless more is asked for
WRITE_WAIT = 10.0  # seconds that a deletion waits for an upload to finish


@router.get("/documents", responses={200: {"model": DocumentsOut}, **errors(404)})
async def listed(
    request: Request,
    collection: Name | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """The documents that the caller may see, by path."""
    service = service_of(request)
    groups = caller(request).groups

    def read() -> dict[str, Any]:
        try:
            found = service.services.collection(collection).snapshot().documents(groups)
        except NotFound:
            if collection not in (None, service.settings.collection):
                raise
            found = []  # the default collection is made by the first upload
        page = sorted(found, key=lambda d: (d.path, d.document))[offset : offset + limit]
        return {"documents": [_listed(d) for d in page], "total": len(found)}

    return JSONResponse(await service.search(read))


@admin.post("/documents", status_code=202, responses={202: {"model": JobOut}, **errors(404)})
async def upload(
    request: Request,
    file: Annotated[UploadFile, File(description="The document; its name tells how to read it.")],
    groups: Annotated[str, Form(max_length=1000, description="Who may see it, comma-separated; empty = public.")] = "",
    collection: Annotated[
        str, Form(pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]{0,63})?$", description="Empty = the default.")
    ] = "",
) -> Response:
    """Takes a document in; the job tells when it can be searched. The same name replaces the document."""
    service = service_of(request)
    name = (file.filename or "").replace("\\", "/").rpartition("/")[2].strip()
    if not name or name in (".", "..") or "\x00" in name or len(name.encode("utf-8", "replace")) > 200:
        raise InvalidRequest("file: its name is missing, too long or no file name")
    with tempfile.NamedTemporaryFile(dir=_folder(service), delete=False) as kept:
        while part := await file.read(1 << 20):
            kept.write(part)
    path = FilePath(kept.name)
    who = caller(request)
    wanted = [g.strip() for g in groups.split(",") if g.strip()] or None
    try:
        job = await service.book(
            lambda: service.jobs.upload(name, path, who.key, collection or service.settings.collection, wanted)
        )
    finally:
        path.unlink(missing_ok=True)
    return JSONResponse(job_json(job), 202, headers={"Location": f"/jobs/{job.id}"})


@router.get("/documents/{document}", responses={200: {"model": DocumentDetail}, **errors(404)})
async def one(document: DocumentId, request: Request, collection: Name | None = None) -> Response:
    """A document's facts, and where its pages lie in its text."""
    service = service_of(request)
    groups = caller(request).groups

    def read() -> dict[str, Any]:
        snapshot = service.services.collection(collection).snapshot()
        found = snapshot.document(document, groups)
        visible = {d.document: d for d in snapshot.documents(groups)}
        info = visible.get(document)
        return {
            "document": found.id,
            "title": found.title,
            "path": found.path,
            "groups": sorted(found.groups),
            "chunks": info.chunks if info else 0,
            "date": found.date,
            "language": found.language,
            "type": found.type,
            "characters": len(found.text),
            "pages": [
                {"number": p.number, "label": p.label, "span": list(p.span), "text_score": round(p.text_score, 3)}
                for p in found.pages
            ],
            "picture": _original(service, found, collection) is not None,
            "superseded_by": found.superseded_by if found.superseded_by in visible else None,
        }

    return JSONResponse(await service.search(read))


@router.get("/documents/{document}/text", responses={200: {"model": TextOut}, **errors(404)})
async def text(
    document: DocumentId,
    request: Request,
    collection: Name | None = None,
    start: Annotated[int, Query(ge=0, le=2**40)] = 0,
    end: Annotated[int | None, Query(ge=0, le=2**40)] = None,
) -> Response:
    """Its text from `start` up to `end`, in characters; spans of hits and citations count in the same way."""
    service = service_of(request)
    groups = caller(request).groups

    def read() -> dict[str, Any]:
        found = service.services.collection(collection).snapshot().document(document, groups)
        first = min(start, len(found.text))
        last = min(max(first, end if end is not None else first + PIECE), first + 10 * PIECE, len(found.text))
        return {
            "document": found.id,
            "title": found.title,
            "start": first,
            "end": last,
            "characters": len(found.text),
            "text": found.text[first:last],
            "headings": [[b.level, *b.span] for b in found.blocks if b.kind == "heading" and first <= b.span[0] < last],
        }

    return JSONResponse(await service.search(read))


@router.get(
    "/documents/{document}/pages/{page}",
    response_class=Response,
    responses={200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}, **errors(404)},
)
async def picture(
    document: DocumentId,
    page: Annotated[int, Path(ge=1, le=1_000_000)],
    request: Request,
    collection: Name | None = None,
    start: Annotated[int | None, Query(ge=0, le=2**40)] = None,
    end: Annotated[int | None, Query(ge=0, le=2**40)] = None,
) -> Response:
    """A page of a PDF as a picture, the characters `start` to `end` of the text highlighted in it."""
    service = service_of(request)
    groups = caller(request).groups

    def read() -> bytes:
        found = service.services.collection(collection).snapshot().document(document, groups)
        quote = found.text[start:end] if start is not None and end is not None else ""
        original = _original(service, found, collection)
        if original is None or not 1 <= page <= max((p.number for p in found.pages), default=0):
            raise NotFound(
                f"there is no picture of page {page} of this document; /documents/{{document}}/text has its text"
            )
        from ingest.render import page_png

        return page_png(original, page, quote)

    return Response(await service.search(read), media_type="image/png")


@admin.delete("/documents/{document}", responses={200: {"model": RemovedOut}, **errors(404, 507)})
async def remove(document: DocumentId, request: Request, collection: Name | None = None) -> Response:
    """Removes a document; the next search does not find it."""
    service = service_of(request)

    def write() -> dict[str, Any]:
        opened = service.services.collection(collection)
        opened.snapshot().document(document)
        if not service.jobs.writing.acquire(timeout=WRITE_WAIT):
            raise CollectionLocked("an upload is being taken in; try again when its job has ended")
        try:
            with opened.writer() as writer:
                writer.remove(document)
                generation = writer.commit("removed over HTTP")
        finally:
            service.jobs.writing.release()
        return {"removed": document, "generation": generation}

    return JSONResponse(await service.search(write))


def _original(service: Service, document: Document, collection: str | None) -> FilePath | None:
    """The PDF that a document was read from, where it is still there."""
    if document.type != "pdf":
        return None
    from ingest.uploads import original

    return original(document, service.services.for_collection(collection))


def _folder(service: Service) -> FilePath:
    folder = service.settings.home / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _listed(info: Any) -> dict[str, Any]:
    return {
        "document": info.document,
        "title": info.title,
        "path": info.path,
        "groups": sorted(info.groups),
        "chunks": info.chunks,
        "date": info.date,
        "language": info.language,
        "type": info.type,
    }
