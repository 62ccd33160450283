"""The report as CSV (one line a figure) and as Markdown. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from eval.answers_html import SHOWN
from eval.verdicts import KINDS, METRIC


def table_csv(report: Mapping[str, Any]) -> str:
    """Columns arm, kind, metric, mean, low, high, n."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["arm", "kind", "metric", "mean", "low", "high", "n"])
    for arm, of in report["arms"].items():
        for kind, metrics in {"all": of["metrics"], **of["kinds"]}.items():
            for metric, f in metrics.items():
                rows.writerow([arm, kind, metric, f["mean"], f["low"], f["high"], f["n"]])
    return out.getvalue()


def markdown(report: Mapping[str, Any]) -> str:
    """Verdicts and tables, for a repository or a mail."""
    arms = list(report["arms"])
    lines = [f"# RAG or LoRA? {report['questions']['n']} questions, seed {report['seed']}", ""]
    lines += [*report.get("notes", ()), ""]
    lines += ["## Verdicts", ""] + [f"- {v['text']}" for v in report["verdicts"]] + [""]
    lines += ["## 结论", ""] + [f"- {v['text_zh']}" for v in report["verdicts"]] + [""]
    lines += ["## Figures", "", f"| | {' | '.join(arms)} |", f"| --- |{' --- |' * len(arms)}"]
    for metric, label, _ in SHOWN:
        cells = [_cell(report["arms"][a]["metrics"].get(metric)) for a in arms]
        if any(c != "–" for c in cells):
            lines.append(f"| {label} | {' | '.join(cells)} |")
    lines += [
        "",
        "## Correct by kind",
        "",
        f"| kind | n | {' | '.join(arms)} |",
        f"| --- | --- |{' --- |' * len(arms)}",
    ]
    for kind, n in report["questions"]["kinds"].items():
        of = [report["arms"][a]["metrics" if kind == "all" else "kinds"] for a in arms]
        cells = [_cell((m if kind == "all" else m.get(kind, {})).get(METRIC)) for m in of]
        lines.append(f"| {KINDS.get(kind, (kind,))[0]} | {n} | {' | '.join(cells)} |")
    if report["failures"]["rag"]:
        lines += ["", "## Where wrong answers of rag were lost", ""]
        lines += [f"- {step}: {n}" for step, n in report["failures"]["rag"].items()]
    if report.get("costs"):
        lines += ["", "## What one change of the knowledge costs", ""]
        lines += [
            f"- {name}: {c['processor_seconds']:.1f} s of processor time ({c['what']})"
            for name, c in report["costs"].items()
        ]
    return "\n".join(lines) + f"\n\nMade by: `{report.get('command', '')}`\n"


def _cell(f: Mapping[str, Any] | None) -> str:
    if not f or f["mean"] is None:
        return "–"
    digits = 0 if f["mean"] >= 20 else 2
    return f"{f['mean']:.{digits}f} [{f['low']:.{digits}f}, {f['high']:.{digits}f}]"
