"""Two answer runs, question by question: what got better, what got worse, and whether a gate holds. Pure but for reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.given import given_from
from eval.statistics import compare, holm
from eval.text_metrics import tokens
from rag.errors import UsageError


def read_run(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """(report.json, arm -> question id -> answer) of a run. Raises UsageError when the folder holds none."""
    try:
        found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        lines = (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as e:
        raise UsageError(
            f"{folder}: {Path(str(e.filename)).name} is missing; this is no finished `rag eval answers` run"
        ) from e
    except json.JSONDecodeError as e:
        raise UsageError(f"{folder}/report.json: not valid JSON ({e}); run the evaluation again") from e
    answers: dict[str, dict[str, Any]] = {}
    for line in lines:
        g = given_from(json.loads(line))
        answers.setdefault(g.arm, {})[g.question] = g
    return found, answers


def diff(a: Path, b: Path, gate: float | None = None, seed: int = 0) -> dict[str, Any]:
    """What changed from run `a` to run `b`, per arm that both have: paired difference of correct answers on their common
    questions with its interval and corrected p, which questions turned, which texts changed. `gate`: largest loss of an arm
    that is still accepted; {"ok"} says whether it holds."""
    (report_a, given_a), (report_b, given_b) = read_run(a), read_run(b)
    right_a, right_b = _correct(report_a, given_a, a), _correct(report_b, given_b, b)
    arms: dict[str, Any] = {}
    for arm in [x for x in right_a if x in right_b]:
        common = sorted(set(right_a[arm]) & set(right_b[arm]))
        if not common:
            continue
        result = compare([right_b[arm][i] for i in common], [right_a[arm][i] for i in common], seed)
        arms[arm] = {
            "before": result.b,
            "after": result.a,
            "difference": result.difference,
            "low": result.low,
            "high": result.high,
            "p": result.p,
            "n": result.n,
            "better": [i for i in common if right_b[arm][i] > right_a[arm][i]],
            "worse": [i for i in common if right_b[arm][i] < right_a[arm][i]],
            "reworded": sum(tokens(given_a[arm][i].text) != tokens(given_b[arm][i].text) for i in common),
        }
    if not arms:
        raise UsageError(f"{a} and {b}: no arm answers the same questions in both runs, so nothing can be compared")
    for (_, of), p in zip(arms.items(), holm([of["p"] for of in arms.values()]), strict=True):
        of["p_corrected"] = p
    failed = [arm for arm, of in arms.items() if gate is not None and of["difference"] < -gate]
    return {"what": "answers", "arms": arms, "gate": gate, "ok": not failed, "failed": failed}


def words(found: Mapping[str, Any]) -> str:
    """The difference as lines of text."""
    lines = []
    for arm, of in found["arms"].items():
        sure = "" if of["p_corrected"] < 0.05 else " (undecided)"
        lines.append(
            f"{arm:12} {of['before']:.3f} -> {of['after']:.3f}  {of['difference']:+.3f} "
            f"[{of['low']:+.3f}, {of['high']:+.3f}]{sure}  {len(of['better'])} better, {len(of['worse'])} worse, n {of['n']}"
        )
    return "\n".join(lines)


def _correct(
    report: Mapping[str, Any], given: Mapping[str, Mapping[str, Any]], folder: Path
) -> dict[str, dict[str, float]]:
    """Arm -> question id -> 1 for a correct answer, as the report has it."""
    kept = report.get("correct")
    if not isinstance(kept, Mapping):
        raise UsageError(f"{folder}/report.json: it does not say which answers are correct; run the evaluation again")
    return {arm: {i: float(kept[arm][i]) for i in given[arm] if i in kept[arm]} for arm in kept if arm in given}
