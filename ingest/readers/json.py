"""JSON and JSON lines: "key.path: value" lines; lists of like objects as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ingest.encodings import decode
from ingest.parsed import Parsed, Skip, Source, TextBuilder, Unreadable

_TITLE_KEYS = ("title", "name", "标题", "名称")


def read(source: Source) -> Iterator[Parsed]:
    """One document. Numbers stay as written. Raises Unreadable for what is no JSON and for absurd nesting."""
    text = decode(source.bytes())
    if not text.strip():
        raise Skip("empty file")
    value = _parse(text, lines=source.name.lower().endswith(("jsonl", "ndjson")))
    builder = TextBuilder(source.limits)
    _add(builder, value, source.limits.cells)
    title = next(
        (value[k] for k in _TITLE_KEYS if isinstance(value, dict) and isinstance(value.get(k), str) and value[k]), None
    )
    yield builder.build("json", title or source.name.rsplit(".", 1)[0])


def _parse(text: str, *, lines: bool) -> Any:
    load = lambda t: json.loads(t, parse_int=str, parse_float=str)  # noqa: E731
    try:
        if not lines:
            try:
                return load(text)
            except ValueError:
                if text.lstrip()[:1] != "{" or "\n" not in text.strip():
                    raise
        return [load(line) for line in text.splitlines() if line.strip()]
    except ValueError as e:
        raise Unreadable(f"not valid JSON ({str(e)[:100]})") from e


def _add(builder: TextBuilder, value: Any, cells: int) -> None:
    if (rows := _rows(value, cells)) is not None:
        builder.table(rows)
        return
    pending: list[str] = []
    for key, item in value.items() if isinstance(value, dict) else [("", value)]:
        if isinstance(item, list) and (rows := _rows(item, cells)) is not None:
            if pending:
                builder.block("list", "\n".join(pending))
                pending = []
            builder.heading(str(key), 2)
            builder.table(rows)
        elif isinstance(item, dict) and len(item) > 3:
            if pending:
                builder.block("list", "\n".join(pending))
                pending = []
            builder.heading(str(key), 2)
            builder.block("list", "\n".join(_lines("", item)))
        else:
            pending.extend(_lines(str(key), item))
    if pending:
        builder.block("list", "\n".join(pending))


def _rows(value: Any, cells: int) -> list[list[str]] | None:
    """A list of objects with mostly the same plain fields, as rows under a header; None when it is something else."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(v, dict) for v in value):
        return None
    keys = list(dict.fromkeys(str(k) for v in value for k in v))
    if len(keys) > 40 or any(isinstance(x, dict | list) for v in value for x in v.values()):
        return None
    if len(keys) * len(value) > cells:
        raise Unreadable(f"more than {cells:,} cells")
    return [keys, *([_scalar(v.get(k)) for k in keys] for v in value)]


def _lines(prefix: str, value: Any) -> list[str]:
    """Depth first, without recursion: one line a leaf."""
    lines: list[str] = []
    stack: list[tuple[str, Any]] = [(prefix, value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, dict):
            stack.extend((f"{path}.{k}" if path else str(k), v) for k, v in reversed(item.items()))
        elif isinstance(item, list) and any(isinstance(v, dict | list) for v in item):
            stack.extend((f"{path}[{n}]", v) for n, v in reversed(list(enumerate(item, 1))))
        elif isinstance(item, list):
            lines.append(f"{path}: {', '.join(map(_scalar, item))}")
        else:
            lines.append(f"{path}: {_scalar(item)}" if path else _scalar(item))
    return lines


def _scalar(value: Any) -> str:
    return {None: "", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
