"""What a report is made of and on: settings, hashes, machine, and what a change of the knowledge costs."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from eval.arms import NEEDS_NO_DOCUMENTS
from eval.golden import GoldenQuestion, fingerprint
from rag.wiring import Services

if TYPE_CHECKING:
    from eval.lora.exported import Export


def has_collection(services: Services) -> bool:
    """Whether the collection of the settings exists."""
    return services.home.exists(services.settings.collection)


def about(
    arms: Sequence[str],
    command: str,
    questions: Sequence[GoldenQuestion],
    services: Services,
    export: Export | None,
    notes: Sequence[str],
) -> dict[str, Any]:
    """What the report is made of and on: settings, hashes, machine, costs. Paths of this machine are left out."""
    found: dict[str, Any] = {
        "notes": list(notes),
        "command": command,
        "model": services.settings.generator,
        "settings": {k: v for k, v in services.settings.public().items() if k not in ("home", "models", "synonyms")},
        "hashes": {"questions": fingerprint(questions)},
        "machine": machine(),
    }
    if has_collection(services):
        collection = services.collection()
        documents = sorted((d.path, d.content_hash) for d in collection.snapshot().documents())
        found["hashes"]["documents"] = hashlib.sha256(json.dumps(documents).encode()).hexdigest()
        found["generation"] = collection.generation
    if export is not None:
        keys = ("base", "base_sha256", "rank", "alpha", "quantization", "training", "sha256", "quantization_error")
        found["adapter"] = {k: export.about.get(k) for k in keys}
        found["parity"] = json.loads((export.folder / "parity.json").read_text(encoding="utf-8"))
    found["costs"] = _costs(arms, services, export)
    return found


def _costs(arms: Sequence[str], services: Services, export: Export | None) -> dict[str, Any]:
    """What it costs each way to make the system know one changed document, in seconds of processor time (those of all cores together,
    whatever else the machine does): measured here, or when the adapter was trained."""
    found: dict[str, Any] = {}
    if any(a not in NEEDS_NO_DOCUMENTS for a in arms):
        snapshot = services.collection().snapshot()
        infos = sorted(snapshot.documents(), key=lambda d: (d.chunks, d.path))
        if infos:
            middle = infos[len(infos) // 2]
            chunks = snapshot.document_chunks(middle.document)
            fields = services.fields()
            fields.embed(chunks[:1])  # loads the embedders
            started = time.process_time()
            fields.embed(chunks)
            what = f"embed the {len(chunks)} chunks of a document of median length again"
            what_zh = f"重新嵌入一份中等长度文档的 {len(chunks)} 个文本块"
            found["rag"] = {"processor_seconds": time.process_time() - started, "what": what, "what_zh": what_zh}
    training = (export.about.get("training") or {}) if export is not None else {}
    if "processor_seconds" in training:
        what = f"train the adapter again, {training['steps']} steps, without export and parity check"
        what_zh = f"重新训练适配器 {training['steps']} 步，不含导出与一致性检查"
        found["lora"] = {"processor_seconds": training["processor_seconds"], "what": what, "what_zh": what_zh}
    return found


def machine() -> dict[str, Any]:
    """The kind of machine, in words."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux: the platform's own word stays
    return {
        "processor": name,
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "system": platform.system(),
    }
