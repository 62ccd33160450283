"""The report of a retrieval evaluation: JSON, one self-contained HTML file, and a line per question. Pure but for `write`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from eval.charts import bars, pareto
from eval.datasets import Query
from eval.retrieval import METRICS, Ranked, by_label, comparisons, failures, figures

STYLE = """
:root{color-scheme:light}body{font:15px/1.55 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;margin:0 auto;max-width:1080px;padding:1.5rem;color:#1c2430}
h1{font-size:1.6rem}h2{margin:2rem 0 .6rem;font-size:1.2rem;border-bottom:1px solid #dde}table{border-collapse:collapse;font-size:.86rem}
th,td{padding:.28rem .6rem;border-bottom:1px solid #dde;text-align:left;vertical-align:top}td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td small{color:#678}.legend span{margin-right:1.1rem}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.35em}svg{max-width:100%;height:auto;font:12px system-ui}
pre{background:#f6f8fb;padding:.8rem;overflow-x:auto;font-size:.8rem}
"""


def report(
    runs: Mapping[str, Sequence[Ranked]],
    queries: Sequence[Query],
    *,
    settings: Mapping[str, Any],
    datasets: Sequence[str],
    seed: int = 0,
) -> dict[str, Any]:
    """The whole report as JSON values. Paths and secrets are left out of the settings."""
    private = ("home", "models", "generator_key", "collection")
    return {
        "runs": {name: figures(of, seed) | {"by": by_label(queries, of, seed)} for name, of in runs.items()},
        "comparisons": comparisons(runs, seed=seed),
        "failures": failures(queries, runs),
        "datasets": list(datasets),
        "questions": len(queries),
        "seed": seed,
        "settings": {k: v for k, v in settings.items() if k not in private},
    }


def write(made: Mapping[str, Any], runs: Mapping[str, Sequence[Ranked]], queries: Sequence[Query], out: Path) -> None:
    """report.json, report.html and scores.jsonl in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (out / "report.html").write_text(html(made), encoding="utf-8")
    with (out / "scores.jsonl").open("w", encoding="utf-8") as file:
        for i, q in enumerate(queries):
            row = {"id": q.id, "text": q.text, "labels": dict(q.labels)} | {
                name: {"scores": dict(of[i].scores), "documents": list(of[i].documents[:10])}
                for name, of in runs.items()
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def words(made: Mapping[str, Any]) -> str:
    """The figures as a table of text."""
    lines = [f"{'run':16}" + "".join(f"{m:>12}" for m in METRICS) + f"{'p95, ms':>10}{'n':>7}"]
    for name, of in made["runs"].items():
        values = "".join(f"{of[m]:12.4f}" for m in METRICS)
        lines.append(f"{name:16}{values}{of['seconds']['p95'] * 1000:10.0f}{of['n']:7}")
    for c in made["comparisons"]:
        sure = "" if c["p_corrected"] < 0.05 else " (undecided)"
        lines.append(
            f"{c['run']} against {c['against']}: nDCG@10 {c['difference']:+.4f} [{c['low']:+.4f}, {c['high']:+.4f}]{sure}"
        )
    return "\n".join(lines)


def html(made: Mapping[str, Any]) -> str:
    """One self-contained file."""
    runs = made["runs"]
    groups = ["all", *sorted({g for of in runs.values() for g in of["by"]})]
    series = {
        name: {g: (of["ndcg@10"], *of["intervals"]["ndcg@10"]) for g in groups if (of := _group(found, g)) is not None}
        for name, found in runs.items()
    }
    points = {name: ((of["ndcg@10"], *of["intervals"]["ndcg@10"]), of["seconds"]["p95"]) for name, of in runs.items()}
    body = [
        f"<h1>Retrieval: {escape(' + '.join(made['datasets']))}</h1>",
        f"<p>{made['questions']} questions, seed {made['seed']}. Means with 95 % bootstrap intervals.</p>",
        _figures(runs),
        "<h2>Each run against the one before it</h2>",
        _comparisons(made["comparisons"]),
        "<h2>nDCG@10 by kind and language</h2>",
        bars([(g, g) for g in groups], series),
        "<h2>Quality against time</h2>",
        pareto(points, "seconds a question, p95", "nDCG@10"),
        "<h2>Failures of the last run</h2>",
        _failures(made["failures"]),
        "<h2>Settings</h2>",
        f"<pre>{escape(json.dumps(made['settings'], ensure_ascii=False, indent=1))}</pre>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Retrieval</title>'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _group(of: Mapping[str, Any], group: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = of if group == "all" else of["by"].get(group)
    return found


def _figures(runs: Mapping[str, Any]) -> str:
    head = "".join(f"<th>{m}</th>" for m in METRICS)
    rows = []
    for name, of in runs.items():
        cells = "".join(
            f'<td class="n">{of[m]:.3f} <small>{of["intervals"][m][0]:.3f}–{of["intervals"][m][1]:.3f}</small></td>'
            for m in METRICS
        )
        s = of["seconds"]
        rows.append(
            f'<tr><td>{escape(name)}</td>{cells}<td class="n">{s["p50"] * 1000:.0f} / {s["p95"] * 1000:.0f}</td><td class="n">{of["n"]}</td></tr>'
        )
    return f"<table><tr><th></th>{head}<th>ms, p50 / p95</th><th>n</th></tr>{''.join(rows)}</table>"


def _comparisons(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = "".join(
        f'<tr><td>{escape(c["run"])} − {escape(c["against"])}</td><td class="n">{c["difference"]:+.4f} '
        f'<small>{c["low"]:+.4f} – {c["high"]:+.4f}</small></td><td class="n">{c["p_corrected"]:.3f}</td></tr>'
        for c in rows
    )
    return f"<table><tr><th></th><th>nDCG@10</th><th>p, corrected</th></tr>{cells}</table>"


def _failures(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = []
    for f in rows:
        places = ", ".join(f"{name}: {place or '–'}" for name, place in f["first_relevant"].items())
        cells.append(
            f'<tr><td>{escape(f["text"])}<br><small>{escape(", ".join(f["relevant"][:5]))}</small></td><td class="n">{f["ndcg@10"]:.2f}</td>'
            f"<td>{escape(places)}</td><td>{escape(', '.join(f['found']))}</td></tr>"
        )
    return (
        "<table><tr><th>question, relevant documents</th><th>nDCG@10</th><th>first relevant at</th><th>found instead</th></tr>"
        f"{''.join(cells)}</table>"
    )
