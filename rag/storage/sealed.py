"""Small JSON files that notice damage: the content and its SHA-256, in the one spelling we write."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from rag.errors import CorruptCollection
from rag.storage.files import Disk


def write(disk: Disk, path: Path, content: Any) -> None:
    """Replaces the file, durably."""
    disk.write_file(path, [_spelled(content)])
    disk.sync_folder(path.parent)


def read(path: Path) -> Any:
    """The content. Raises CorruptCollection when it is not exactly what was written, OSError when it cannot be read."""
    data = path.read_bytes()
    try:
        content = json.loads(data)["content"]
    except (ValueError, KeyError, TypeError) as e:
        raise CorruptCollection(f"{path}: damaged; restore it from a backup") from e
    if _spelled(content) != data:
        raise CorruptCollection(f"{path}: damaged, its digest does not match; restore it from a backup")
    return content


def _spelled(content: Any) -> bytes:
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return (json.dumps({"sha256": digest, "content": content}, ensure_ascii=False, sort_keys=True) + "\n").encode()
