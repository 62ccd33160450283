"""The ASGI application: middleware from the outside in, the routes, and the life of the service."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Security
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from api import error_responses
from api.access_log import AccessLog
from api.auth import Authentication
from api.limits import BodyLimit, SecurityHeaders, TrustedHosts
from api.mcp_server import Tools
from api.routes import asking, collections, documents, feedback, health, jobs, openai, pages
from api.service import Service
from rag.wiring import Services

_ABOUT = """Answers from your own documents, with citations. Every error has one shape:
`{"error": {"message", "type", "code", "param", "details"}}`. MCP clients use `/mcp`."""


def create_app(services: Services, *, open_allowed: bool = True) -> FastAPI:
    """The application over these services, which it closes when it stops.

    `open_allowed`: whether a home without any key is served to everybody who can connect; only right on loopback.
    """
    settings = services.settings
    service = Service(services)
    tools = Tools(service)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with tools.running():
            service.start()
            try:
                yield
            finally:
                await service.close()

    hosts = [*settings.allowed_hosts.split(","), *([settings.host] if settings.host not in ("0.0.0.0", "::") else [])]
    app = FastAPI(
        title="ragbase",
        description=_ABOUT,
        version=version("ragbase"),
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        redirect_slashes=False,
        middleware=[
            Middleware(AccessLog, metrics=service.metrics),
            Middleware(SecurityHeaders),
            Middleware(TrustedHosts, allowed=hosts),
            Middleware(
                Authentication, ledger=service.ledger, open_allowed=open_allowed, rate_limit=settings.rate_limit
            ),
            Middleware(BodyLimit, upload_bytes=settings.max_body << 20),
        ],
    )
    app.state.service = service
    app.state.started = time.time()
    error_responses.install(app)
    keyed = [Security(HTTPBearer(auto_error=False, description="A key of `rag keys create`."))]
    for router in (
        asking.router,
        openai.router,
        documents.router,
        documents.admin,
        collections.router,
        collections.admin,
        jobs.router,
        feedback.router,
        feedback.admin,
        pages.router,
        pages.admin,
        health.router,
        health.admin,
    ):
        app.include_router(router, dependencies=keyed)
    app.include_router(health.public)
    app.include_router(pages.public)
    app.router.routes.append(Route("/mcp", tools, include_in_schema=False))
    app.mount("/static/swagger", StaticFiles(directory=pages.swagger()))
    app.mount("/static", StaticFiles(directory=pages.WEB))
    app.openapi = lambda: _openapi(app, settings.max_question)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI, max_question: int) -> dict[str, Any]:
    """The document of the interface, with the limits of the settings."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = made["components"]["schemas"]
        for name in ("SearchBody", "AskBody"):
            parts[name]["properties"]["question"]["maxLength"] = max_question
        parts["QuestionPart"]["properties"]["text"]["maxLength"] = max_question
        for part in parts["UserMessage"]["properties"]["content"]["anyOf"]:
            if part.get("type") == "string":
                part["maxLength"] = max_question
        for name in ("HTTPValidationError", "ValidationError"):
            parts.pop(name, None)
        app.openapi_schema = made
    return app.openapi_schema
