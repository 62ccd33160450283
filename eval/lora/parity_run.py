"""Runs the parity gate on an export: loads both sides, measures, keeps the result."""

from __future__ import annotations

import sys
from pathlib import Path

from eval.lora.base import Base, find_base
from eval.lora.exported import Export, require_base
from eval.lora.parity import Parity, ParityFailed, measure, passed, write
from rag.settings import Settings


def base_of(export: Export, settings: Settings) -> Base:
    """The base that the adapter belongs to. Raises RagError when what is found has other weights."""
    base = find_base(str(export.about.get("base_path") or export.base), Path(settings.models))
    require_base(export, base)
    return base


def check_parity(export: Export, settings: Settings) -> Parity:
    """Measures and keeps the result beside the export."""
    from eval.lora.framework import Framework
    from eval.lora.served import ServedModel

    base = base_of(export, settings)
    framework = Framework(base, export.folder)

    def serve(path: Path, name: str, lora: Path | None = None) -> ServedModel:
        return ServedModel(path, name, context_length=1024, threads=settings.threads, lora=lora)

    plain = serve(base.path, f"{base.name}")
    adapted = serve(base.path, f"{base.name} with adapter", export.adapter)
    merged = serve(export.model, f"{base.name} merged") if export.model.is_file() else None
    try:
        result = measure(export, framework, plain, adapted, merged)
    finally:
        for model in (plain, adapted, merged):
            if model is not None:
                model.close()
    write(result, export)
    return result


def require_parity(export: Export, settings: Settings) -> None:
    """Raises ParityFailed unless these very files have passed; runs the check when they have not been checked."""
    if passed(export):
        return
    sys.stderr.write(f"{export.folder}: checking that the served model is the trained one\n")
    result = check_parity(export, settings)
    if not result.ok:
        raise ParityFailed(f"{export.folder}: parity failed, so nothing is compared: {result.cause}")
