"""Two retrieval runs, question by question, and whether a gate holds. Pure but for reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.statistics import compare, holm
from rag.errors import UsageError

METRIC = "ndcg@10"


def diff(a: Path, b: Path, gate: float | None = None, seed: int = 0) -> dict[str, Any]:
    """What changed from report folder `a` to `b`, for each run that both have: paired difference of nDCG@10 over their common
    questions with its interval and corrected p, and which questions moved. `gate`: largest loss that is still accepted."""
    before, after = _scores(a), _scores(b)
    runs: dict[str, Any] = {}
    for name in [n for n in before if n in after]:
        common = [q for q in before[name] if q in after[name]]
        if not common:
            continue
        result = compare([after[name][q] for q in common], [before[name][q] for q in common], seed)
        runs[name] = {
            "before": result.b,
            "after": result.a,
            "difference": result.difference,
            "low": result.low,
            "high": result.high,
            "p": result.p,
            "n": result.n,
            "better": [q for q in common if after[name][q] > before[name][q]],
            "worse": [q for q in common if after[name][q] < before[name][q]],
        }
    if not runs:
        raise UsageError(f"{a} and {b}: no run has the same questions in both, so nothing can be compared")
    for row, p in zip(runs.values(), holm([r["p"] for r in runs.values()]), strict=True):
        row["p_corrected"] = p
    failed = [name for name, row in runs.items() if gate is not None and row["difference"] < -gate]
    return {"what": "retrieval", "metric": METRIC, "runs": runs, "gate": gate, "ok": not failed, "failed": failed}


def words(found: Mapping[str, Any]) -> str:
    """The difference as lines of text."""
    lines = []
    for name, of in found["runs"].items():
        sure = "" if of["p_corrected"] < 0.05 else " (undecided)"
        lines.append(
            f"{name:12} {of['before']:.4f} -> {of['after']:.4f}  {of['difference']:+.4f} "
            f"[{of['low']:+.4f}, {of['high']:+.4f}]{sure}  {len(of['better'])} better, {len(of['worse'])} worse, n {of['n']}"
        )
    return "\n".join(lines)


def _scores(folder: Path) -> dict[str, dict[str, float]]:
    """Run -> question id -> nDCG@10. Raises UsageError when the folder holds no finished run."""
    file = folder / "scores.jsonl"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as e:
        raise UsageError(f"{file}: missing; {folder} is no finished `rag eval retrieval` run") from e
    found: dict[str, dict[str, float]] = {}
    try:
        for line in lines:
            row = json.loads(line)
            for name, of in row.items():
                if isinstance(of, dict) and "scores" in of:
                    found.setdefault(name, {})[row["id"]] = float(of["scores"][METRIC])
    except (json.JSONDecodeError, KeyError, TypeError) as e:
        raise UsageError(f"{file}: not readable as scores ({e}); run the evaluation again") from e
    return found
