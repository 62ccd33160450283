"""Answers as JSON: their strings made safe, their values listed so that they can be checked (pure)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from rag.generation.output_safety import safe_text


def safe_json(raw: str, grounded: Callable[[str], bool]) -> str:
    """The JSON with every string in it made safe; the text as it is (made safe) when it is not JSON."""
    try:
        read = json.loads(raw)
    except ValueError:
        return safe_text(raw, grounded)

    def safe(value: Any) -> Any:
        if isinstance(value, str):
            return safe_text(value, grounded)
        if isinstance(value, list):
            return [safe(v) for v in value]
        if isinstance(value, dict):
            return {safe_text(str(k)): safe(v) for k, v in value.items()}
        return value

    return json.dumps(safe(read), ensure_ascii=False)


def leaves(value: Any) -> Iterator[str]:
    """The strings and numbers of a JSON value, in order: what an answer claims."""
    if isinstance(value, dict):
        for v in value.values():
            yield from leaves(v)
    elif isinstance(value, list):
        for v in value:
            yield from leaves(v)
    elif isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
