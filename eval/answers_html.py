"""The report of a comparison as one self-contained HTML file, in English and in Chinese, without script. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from eval.attribution import STEPS_ZH
from eval.charts import Figure, bars, pareto
from eval.verdicts import KINDS, METRIC

SHOWN = (
    ("correct", "correct", "正确"),
    ("fact_recall", "key facts", "关键事实召回"),
    ("outdated", "outdated answers", "过时答案"),
    ("exact_match", "exact match", "完全匹配"),
    ("f1", "F1", "F1"),
    ("rouge_l", "ROUGE-L", "ROUGE-L"),
    ("chrf", "chrF", "chrF"),
    ("refusal_precision", "refusal precision", "拒答精确率"),
    ("refusal_recall", "refusal recall", "拒答召回率"),
    ("citation_precision", "citation precision", "引用精确率"),
    ("citation_recall", "citation recall", "引用召回率"),
    ("sentence_support", "sentences supported", "句子有据率"),
    ("latency_p50", "latency p50, s", "延迟中位数（秒）"),
    ("latency_p95", "latency p95, s", "延迟 p95（秒）"),
    ("first_token", "first token, s", "首字（秒）"),
    ("prompt_tokens", "prompt tokens", "提示词元"),
    ("answer_tokens", "answer tokens", "回答词元"),
    ("memory_mb", "memory, MB", "内存（MB）"),
)
# Where less is better.
UNITS = frozenset(
    {"outdated", "latency_p50", "latency_p95", "first_token", "prompt_tokens", "answer_tokens", "memory_mb"}
)

STYLE = """
:root{color-scheme:light;--line:#dde}
body{font:15px/1.55 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;margin:0 auto;max-width:1180px;padding:1.5rem;color:#1c2430}
h1{font-size:1.6rem;margin:.2rem 0}h2{margin:2.2rem 0 .6rem;font-size:1.2rem;border-bottom:1px solid var(--line)}h3{font-size:.95rem;margin:.8rem 0 .1rem}
table{border-collapse:collapse;font-size:.86rem;display:block;overflow-x:auto}th,td{padding:.28rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}td small{color:#678}tr:hover td{background:#f6f8fb}
.best{font-weight:600}.legend span{margin-right:1.1rem;white-space:nowrap}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.35em;border-radius:2px}
svg{max-width:100%;height:auto;font:12px system-ui,sans-serif}blockquote{margin:.3rem 0;padding-left:.8rem;border-left:3px solid var(--line);white-space:pre-wrap}
.verdict{padding:.15rem 0}.decided::before{content:"● ";color:#54a24b}.open::before{content:"○ ";color:#999}.note{color:#567}
summary{cursor:pointer;padding:.2rem 0}pre{background:#f6f8fb;padding:.8rem;overflow-x:auto;font-size:.8rem}input[name=l]{margin-left:.8rem}
body:has(#en:checked) .zh,body:has(#zh:checked) .en{display:none}
"""


def html(report: Mapping[str, Any]) -> str:
    """The whole file."""
    arms = list(report["arms"])
    kinds = list(report["questions"]["kinds"])
    n, seed = report["questions"]["n"], report["seed"]
    head = _both(f"{n} questions, seed {seed}, arms", f"{n} 个问题，随机种子 {seed}，系统")
    body = [
        '<p><input type="radio" name="l" id="en" checked><label for="en"> English</label>'
        '<input type="radio" name="l" id="zh"><label for="zh"> 中文</label></p>',
        f"<h1>{_both('RAG or LoRA? A comparison on the same questions', 'RAG 还是 LoRA？同一批问题上的比较')}</h1>",
        f"<p>{head}: {escape(', '.join(arms))}</p>",
        _notes(report),
        _h2("Verdicts", "结论"),
        _verdicts(report),
        _h2("Figures", "数据"),
        _para(
            "Mean and 95 % bootstrap interval. The best arm of a row is bold.",
            "均值与 95% 自助法区间；每行最优者加粗。",
        ),
        _table(report, arms),
        _h2("Correct answers by kind of question", "按问题类型的正确率"),
        _twice(*(bars([(k, KINDS.get(k, (k, k))[i]) for k in kinds], _series(report, arms, kinds)) for i in (0, 1))),
        _h2("Quality against latency", "质量与延迟"),
        _twice(
            pareto(_points(report, arms), "median latency, seconds", "correct"),
            pareto(_points(report, arms), "延迟中位数（秒）", "正确率"),
        ),
        _h2("Correct answers by kind, in figures", "按类型的数据"),
        _kinds_table(report, arms, kinds),
        _costs(report),
        _failures(report),
        _h2("How this was made", "本报告的来历"),
        _details(report),
    ]
    title = "RAG or LoRA?"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        + "\n".join(body)
        + "</body></html>\n"
    )


def _both(en: str, zh: str) -> str:
    return f'<span class="en">{escape(en)}</span><span class="zh" lang="zh">{escape(zh)}</span>'


def _twice(en: str, zh: str) -> str:
    """Two pieces of HTML, one for the readers of each language."""
    return f'<div class="en">{en}</div><div class="zh" lang="zh">{zh}</div>'


def _h2(en: str, zh: str) -> str:
    return f"<h2>{_both(en, zh)}</h2>"


def _para(en: str, zh: str) -> str:
    return f'<p class="note">{_both(en, zh)}</p>'


def _notes(report: Mapping[str, Any]) -> str:
    return "".join(f'<p class="note">{escape(n)}</p>' for n in report.get("notes", ()))


def _verdicts(report: Mapping[str, Any]) -> str:
    """What is decided, then the rest folded away: with many kinds and arms most comparisons are open."""
    if not report["verdicts"]:
        return _para("One arm alone: nothing to compare.", "只有一个系统，无可比较。")
    decided = [v for v in report["verdicts"] if v["better"] != "undecided"]
    undecided = [v for v in report["verdicts"] if v["better"] == "undecided"]
    out = _by_kind(decided) or _para("Nothing is decided: more questions are needed.", "尚无定论，需要更多问题。")
    if undecided:
        n = len(undecided)
        summary = _both(f"Undecided comparisons ({n})", f"未分高下的比较（{n}）")
        out += f"<details><summary>{summary}</summary>{_by_kind(undecided)}</details>"
    return out + _para(
        "A comparison is decided when its p value, corrected for the number of comparisons made (Holm; those on all questions and those on single kinds apart), is below 0.05.",
        "经多重比较校正（Holm，全部问题与各类问题分别校正）后 p 值低于 0.05，方下定论。",
    )


def _by_kind(verdicts: Iterable[Mapping[str, Any]]) -> str:
    out = []
    kind = None
    for v in verdicts:
        if v["kind"] != kind:
            kind = v["kind"]
            out.append(f"<h3>{_both(*KINDS.get(kind, (kind, kind)))}</h3>")
        how = "open" if v["better"] == "undecided" else "decided"
        out.append(f'<div class="verdict {how}">{_both(v["text"], v["text_zh"])}</div>')
    return "".join(out)


def _cell(metric: str, f: Mapping[str, Any] | None, best: bool) -> str:
    if not f or f["mean"] is None:
        return '<td class="n">–</td>'
    digits = 0 if metric in ("prompt_tokens", "answer_tokens", "memory_mb") else 2
    mean = f"{f['mean']:.{digits}f}"
    spread = f"{f['low']:.{digits}f}–{f['high']:.{digits}f}"
    return f'<td class="n{" best" if best else ""}">{mean} <small>{spread}</small></td>'


def _table(report: Mapping[str, Any], arms: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(a)}</th>" for a in arms)
    rows = []
    for metric, en, zh in SHOWN:
        figures = {a: report["arms"][a]["metrics"].get(metric) for a in arms}
        known = [f["mean"] for f in figures.values() if f and f["mean"] is not None]
        if not known:
            continue
        top = min(known) if metric in UNITS else max(known)
        tells = len(set(known)) > 1
        cells = "".join(_cell(metric, f, tells and bool(f) and f["mean"] == top) for f in figures.values())
        rows.append(f"<tr><td>{_both(en, zh)}</td>{cells}</tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _kinds_table(report: Mapping[str, Any], arms: Sequence[str], kinds: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(a)}</th>" for a in arms)
    rows = []
    for kind in kinds:
        cells = []
        for a in arms:
            f = _of(report, a, kind).get(METRIC)
            cells.append(_cell(METRIC, f, False))
        en, zh = KINDS.get(kind, (kind, kind))
        n = report["questions"]["kinds"][kind]
        rows.append(f"<tr><td>{_both(en, zh)}</td><td class=n>{n}</td>{''.join(cells)}</tr>")
    return f"<table><tr><th></th><th>n</th>{head}</tr>{''.join(rows)}</table>"


def _of(report: Mapping[str, Any], arm: str, kind: str) -> Mapping[str, Any]:
    of = report["arms"][arm]
    found: Mapping[str, Any] = of["metrics"] if kind == "all" else of["kinds"].get(kind, {})
    return found


def _series(report: Mapping[str, Any], arms: Iterable[str], kinds: Sequence[str]) -> dict[str, dict[str, Figure]]:
    found: dict[str, dict[str, Figure]] = {}
    for a in arms:
        found[a] = {}
        for kind in kinds:
            f = _of(report, a, kind).get(METRIC)
            if f:
                found[a][kind] = (f["mean"], f["low"], f["high"])
    return found


def _points(report: Mapping[str, Any], arms: Iterable[str]) -> dict[str, tuple[Figure, float]]:
    found = {}
    for a in arms:
        m = report["arms"][a]["metrics"]
        f = m[METRIC]
        found[a] = ((f["mean"], f["low"], f["high"]), m["latency_p50"]["mean"])
    return found


def _costs(report: Mapping[str, Any]) -> str:
    costs = report.get("costs") or {}
    if not costs:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{c['processor_seconds']:.1f}</td><td>{_both(c['what'], c['what_zh'])}</td></tr>"
        for name, c in costs.items()
    )
    return (
        _h2("What one change of the knowledge costs", "更新一次知识的代价")
        + f"<table><tr><th></th><th>{_both('seconds of processor time', '处理器时间（秒）')}</th><th></th></tr>{rows}</table>"
    )


def _failures(report: Mapping[str, Any]) -> str:
    failures = report["failures"]
    out = [_h2("Where wrong answers were lost", "错误答案丢失在哪一步")]
    if failures["rag"]:
        rows = "".join(
            f"<tr><td>{_both(s, STEPS_ZH.get(s, s))}</td><td class=n>{n}</td></tr>" for s, n in failures["rag"].items()
        )
        out.append(f"<table><tr><th>rag</th><th>n</th></tr>{rows}</table>")
    out.append(_h2("Examples of failures", "失败示例"))
    for e in failures["examples"]:
        step = f" — {_both(e['step'], STEPS_ZH.get(e['step'], e['step']))}" if e["step"] else ""
        expected = escape(e["expected"][0]) if e["expected"] else _both("a refusal", "拒答")
        out.append(
            f"<details><summary><b>{escape(e['arm'])}</b>{step}: {escape(e['question'])}</summary>"
            f"<blockquote>{escape(e['said']) or '–'}</blockquote><p>{_both('expected', '期望')}: {expected}"
            f"<br>{_both('offered', '提供')}: {escape(', '.join(e['offered']) or '–')}"
            f"<br>{_both('gold', '正确出处')}: {escape(', '.join(e['gold']) or '–')}</p></details>"
        )
    return "".join(out)


def _details(report: Mapping[str, Any]) -> str:
    keys = ("model", "settings", "hashes", "adapter", "parity", "machine", "judge")
    about = {k: report[k] for k in keys if k in report}
    command = f"<pre>{escape(str(report.get('command', '')))}</pre>"
    summary = _both("Settings, hashes, adapter, parity check, machine", "设置、哈希、适配器、一致性检查与机器")
    text = escape(json.dumps(about, ensure_ascii=False, indent=1))
    return f"{command}<details><summary>{summary}</summary><pre>{text}</pre></details>"
