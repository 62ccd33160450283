"""Collections: list, make, remove."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.auth import AdminRoute, caller
from api.response_schemas import CollectionOut, CollectionsOut
from api.routes.responses import errors
from api.schemas import CollectionBody, Name
from api.service import Service, service_of
from rag.errors import CollectionLocked, NotFound

router = APIRouter(tags=["collections"])
admin = APIRouter(tags=["collections"], route_class=AdminRoute)


class CollectionExists(CollectionLocked):
    """A collection of that name is there already."""


@router.get("/collections", responses={200: {"model": CollectionsOut}, **errors()})
async def listed(request: Request) -> Response:
    """The collections in which the caller may see something."""
    service = service_of(request)
    who = caller(request)

    def read() -> list[dict[str, Any]]:
        found = []
        for name in sorted(service.services.home.names()):
            with suppress(NotFound):  # removed since its name was read
                found.append(_described(service, name, who.groups))
        return [c for c in found if who.admin or c["documents"] or c["default"]]

    return JSONResponse({"collections": await service.search(read)})


@admin.post("/collections", status_code=201, responses={201: {"model": CollectionOut}, **errors(503, 507)})
async def create(body: CollectionBody, request: Request) -> Response:
    """An empty collection, with the vector fields that the settings ask for."""
    service = service_of(request)

    def make() -> dict[str, Any]:
        if service.services.home.exists(body.name):
            raise CollectionExists(f"collection {body.name} exists already")
        service.services.collection(body.name, create=True)
        return _described(service, body.name, None)

    return JSONResponse(await service.search(make), 201)


@admin.delete("/collections/{collection}", status_code=204, response_class=Response, responses=errors(404, 507))
async def remove(collection: Annotated[Name, Path()], request: Request) -> Response:
    """Removes a collection with all it holds."""
    service = service_of(request)

    def drop() -> None:
        if not service.services.home.exists(collection):
            raise NotFound(f"no collection {collection}; GET /collections lists them")
        with service.jobs.writing:
            service.services.forget(collection)
            service.services.home.remove(collection)

    await service.search(drop)
    return Response(status_code=204)


def _described(service: Service, name: str, groups: frozenset[str] | None) -> dict[str, Any]:
    collection = service.services.collection(name)
    snapshot = collection.snapshot()
    return {
        "name": name,
        "documents": len(snapshot.documents(groups)),
        "generation": snapshot.generation,
        "default": name == service.settings.collection,
    }
