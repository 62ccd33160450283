"""A trained adapter to what is served: adapter.gguf, model.gguf, Modelfile, export.json."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.lora.base import Base
from eval.lora.exported import ABOUT, TRAINED, Export, read_export
from eval.lora.gguf_adapter import Quantization, chat_template, open_base, read_adapter, write_adapter, write_merged
from eval.lora.modelfile import modelfile
from rag.errors import UsageError
from rag.models.hashing import sha256_of


def trained_on(adapter: Path) -> dict[str, Any]:
    """training.json of an adapter folder, {} for an adapter that was trained elsewhere. Raises UsageError for no adapter."""
    if not (adapter / "adapter_model.safetensors").is_file():
        raise UsageError(f"{adapter}: no adapter_model.safetensors in it; train with `rag tune train --out {adapter}`")
    file = adapter / "training.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def export(adapter: Path, base: Base, gguf: Path, out: Path, quantization: Quantization = "q8_0") -> Export:
    """Writes the export of `adapter`; `gguf` is the GGUF file of the base (its own path when the base is one).

    Raises UsageError when the adapter was trained on another base. export.json comes last: a folder with it is complete.
    """
    training = trained_on(adapter)
    if training and training["base_sha256"] != base.sha256:
        raise UsageError(
            f"{adapter}: it was trained on {training['base']}, not on {base.name}; use --base {training['base']}"
        )
    reader = open_base(gguf)
    matrices = read_adapter(adapter, reader)
    out.mkdir(parents=True, exist_ok=True)
    (out / ABOUT).unlink(missing_ok=True)
    (out / "parity.json").unlink(missing_ok=True)
    groups = training.get("groups") or [["public"]]
    facts = {"ragbase.base_sha256": base.sha256, "ragbase.groups": json.dumps(groups)}
    write_adapter(matrices, out / "adapter.gguf", facts)
    loss = write_merged(matrices, reader, out / "model.gguf", quantization, facts)
    served_template = chat_template(reader)
    (out / "Modelfile").write_text(modelfile(served_template), encoding="utf-8")
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        shutil.copyfile(adapter / name, out / name)
    trained = adapter / TRAINED
    if trained.is_file():
        shutil.copyfile(trained, out / TRAINED)
    else:
        (out / TRAINED).write_text("[]\n", encoding="utf-8")
    about = {
        "base": base.name,
        "base_path": "" if _in_catalog(base.name) else str(base.path),
        "base_sha256": base.sha256,
        "gguf_sha256": sha256_of(gguf),
        # What training rendered its prompts with; the parity check holds it against what the served model renders.
        "chat_template": training.get("chat_template") or served_template,
        "rank": matrices.rank,
        "alpha": matrices.alpha,
        "quantization": quantization,
        "quantization_error": loss,
        "groups": groups,
        "documents": training.get("documents") or {},
        "held_out": training.get("held_out") or [],
        "training": {k: training.get(k) for k in ("recipe", "examples", "dtype")} | _effort(training),
        "sha256": {name: sha256_of(out / name) for name in ("adapter.gguf", "model.gguf")},
    }
    (out / ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")
    return read_export(out)


def _effort(training: Mapping[str, Any]) -> dict[str, Any]:
    """Steps, and the seconds of processor time that they took; nothing for an adapter that was not trained here."""
    progress = training.get("progress") or {}
    each = progress.get("processor")
    return {"steps": progress["step"], "processor_seconds": sum(each) / len(each) * progress["step"]} if each else {}


def _in_catalog(name: str) -> bool:
    from rag.models.catalog import CATALOG

    return name in CATALOG
