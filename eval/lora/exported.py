"""An exported adapter: the files, and what must be known to serve it and to compare with it honestly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.lora.base import Base
from eval.lora.examples import Example, read_examples
from rag.errors import PermissionDenied, RagError, UsageError

ABOUT = "export.json"
TRAINED = "trained.json"  # the training examples' questions and answers: what may not be reported on


@dataclass(frozen=True, slots=True)
class Export:
    """The folder of `rag tune export`, read."""

    folder: Path
    base: str
    base_sha256: str
    chat_template: str
    about: Mapping[str, Any]

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter.gguf"

    @property
    def model(self) -> Path:
        return self.folder / "model.gguf"

    @property
    def documents(self) -> Mapping[str, str]:
        """Path -> content hash of the documents that were trained on."""
        found: Mapping[str, str] = self.about.get("documents") or {}
        return found

    def trained(self) -> list[Example]:
        """What was trained on."""
        return read_examples(self.folder / TRAINED)

    def digest(self) -> str:
        """SHA-256 hex over export.json and the two GGUF files' hashes and sizes."""
        digest = hashlib.sha256((self.folder / ABOUT).read_bytes())
        for file in (self.adapter, self.model):
            digest.update(f"{file.name}:{file.stat().st_size if file.exists() else 0}".encode())
        digest.update(json.dumps(self.about.get("sha256"), sort_keys=True).encode())
        return digest.hexdigest()


def read_export(folder: Path) -> Export:
    """The export in `folder`. Raises UsageError when it is none, RagError when a file is missing."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise UsageError(f"{folder}: no export.json in it; make an export with `rag tune export --out {folder}`") from e
    except json.JSONDecodeError as e:
        raise RagError(f"{folder / ABOUT}: not valid JSON ({e}); export the adapter again") from e
    for key in ("base", "base_sha256", "chat_template"):
        if not isinstance(about.get(key), str):
            raise RagError(f"{folder / ABOUT}: {key} is missing; export the adapter again")
    found = Export(folder, about["base"], about["base_sha256"], about["chat_template"], about)
    if not found.adapter.is_file():
        raise RagError(f"{found.adapter}: missing; export the adapter again")
    return found


def require_base(export: Export, base: Base) -> None:
    """Raises UsageError unless the adapter was trained on this base."""
    if export.base_sha256 != base.sha256:
        mismatch = RagError(
            f"{export.folder}: the adapter was trained on {export.base} ({export.base_sha256[:12]}...), "
            f"not on {base.name} ({base.sha256[:12]}...); use --model {export.base}"
        )
        raise mismatch


def require_permission(export: Export, groups: Collection[str] | None) -> None:
    """Raises PermissionDenied unless a caller of these groups may see every document that the adapter learned from: what it
    says may come from any of them. None is the operator, who may."""
    if groups is None:
        return
    for needed in export.about.get("groups") or []:
        if "public" not in needed and not set(needed) & set(groups):
            raise PermissionDenied(
                f"{export.folder}: the adapter learned from documents of the group {' or '.join(needed)}, "
                "which this caller is not in; ask the operator for access"
            )
