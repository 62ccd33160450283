"""The chat page, the interface's documentation, and the newest evaluation report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from api.auth import AdminRoute, caller
from api.response_schemas import ReportOut
from api.routes.responses import errors
from api.service import service_of
from rag.errors import NotFound

public = APIRouter(include_in_schema=False)
router = APIRouter(tags=["evaluation"])
admin = APIRouter(tags=["evaluation"], route_class=AdminRoute)

WEB = Path(__file__).parent.parent / "web"
REPORT_BYTES = 20_000_000


@public.get("/")
async def page() -> Response:
    """The page itself holds nothing of the documents; it asks for a key where one is needed."""
    return FileResponse(WEB / "index.html", media_type="text/html")


@public.get("/docs")
async def docs() -> Response:
    """Swagger UI, served from here."""
    return FileResponse(WEB / "docs.html", media_type="text/html")


@public.get("/favicon.ico")
async def icon() -> Response:
    """A small picture for the tab."""
    return FileResponse(WEB / "icon.svg", media_type="image/svg+xml")


@router.get("/report", responses={200: {"model": ReportOut}, **errors(404)})
async def report(request: Request) -> Response:
    """The newest evaluation report: of all folders under `reports/` in the home, the one whose report.json was written last.
    Its examples quote documents of every group, so only an administrator's key gets them."""
    service = service_of(request)
    found = await service.search(lambda: newest(service.settings.home / "reports"))
    if not caller(request).admin:
        found["report"].pop("failures", None)
    return JSONResponse(found)


@admin.get(
    "/report/file",
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}, **errors(404)},
)
async def report_file(request: Request) -> Response:
    """The whole of it as the file that stands beside report.json: to be kept and opened from there, not shown by this service,
    whose policy lets no page bring styles of its own."""
    service = service_of(request)
    folder = service.settings.home / "reports"
    name = str((await service.search(lambda: newest(folder)))["name"])
    file = folder / name / "report.html"
    if not file.is_file():
        raise NotFound(f"reports/{name}: there is no report.html beside its report.json; run the evaluation again")
    return FileResponse(file, media_type="text/html", filename="report.html")


def newest(folder: Path) -> dict[str, Any]:
    """Raises NotFound when there is none that can be read."""
    found = (
        sorted(folder.rglob("report.json"), key=lambda p: p.stat().st_mtime, reverse=True) if folder.is_dir() else []
    )
    for path in found:
        if path.stat().st_size > REPORT_BYTES:
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue  # being written just now, or not ours
        if isinstance(content, dict):
            return {
                "name": path.parent.relative_to(folder).as_posix(),
                "created": datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds"),
                "report": content,
            }
    raise NotFound("no evaluation report yet: run `rag eval answers ... --out HOME/reports/NAME`")


def swagger() -> Path:
    """The folder of Swagger UI's files, which come inside the package fastapi-offline."""
    return Path(str(files("fastapi_offline") / "static"))
