"""Comparisons between arms, per kind of question, and what they mean in words, English and Chinese. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.statistics import Comparison, compare, holm

METRIC = "correct"  # what verdicts speak of: the facts are all stated, or a question without an answer is refused
ALPHA = 0.05
LABELS = {
    "base": ("the base model", "基础模型"),
    "lora": ("LoRA", "LoRA"),
    "rag": ("RAG", "RAG"),
    "lora+rag": ("LoRA + RAG", "LoRA + RAG"),
    "oracle": ("RAG with the gold passages", "给定正确段落的 RAG"),
    "distractor": ("RAG with distractors only", "只给干扰段落的 RAG"),
    "plain": ("the plain chain", "普通链"),
}
KINDS = {
    "all": ("all questions", "全部问题"),
    "fact": ("facts", "事实"),
    "number": ("numbers", "数字"),
    "multi-document": ("several documents", "多文档"),
    "cross-lingual": ("across languages", "跨语言"),
    "changed": ("facts with an older version", "有旧版本的事实"),
    "changed after training": ("facts changed after training", "训练后更改的事实"),
    "unanswerable": ("unanswerable questions", "无答案问题"),
    "in-training fact": ("facts of training documents", "训练文档中的事实"),
    "held-out fact": ("facts of held-out documents", "未训练文档中的事实"),
    "style": ("style or format", "风格或格式"),
    "zh": ("Chinese questions", "中文问题"),
    "en": ("English questions", "英文问题"),
}
FIRST = (
    ("rag", "lora"),
    ("lora+rag", "rag"),
    ("rag", "base"),
    ("lora", "base"),
    ("lora+rag", "lora"),
    ("rag", "plain"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One comparison, judged."""

    kind: str
    first: str
    second: str
    better: str  # an arm, or "undecided"
    p_corrected: float
    result: Comparison
    text: str
    text_zh: str

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"result": asdict(self.result)}


def pairs(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Which arms are held against each other: those that the question "RAG or LoRA" is about, then the others in order."""
    chosen = [(a, b) for a, b in FIRST if a in arms and b in arms]
    for other in arms:
        if "rag" in arms and other != "rag" and (other in ("oracle", "distractor") or other.startswith("rag:")):
            chosen.append(("rag", other))
    return chosen


def judge(values: Mapping[str, Mapping[str, float]], kinds: Mapping[str, Sequence[str]], seed: int) -> list[Verdict]:
    """A verdict per kind and pair of arms. p values are corrected (Holm) in two families: the comparisons on all questions, which the
    report is made for, and those on single kinds, which there are ten times as many of and which must not drown the former.

    `values`: arm -> question id -> score; `kinds`: kind -> question ids. Kinds with fewer than 2 questions get none.
    """
    found: list[tuple[str, str, str, Comparison]] = []
    for kind, ids in kinds.items():
        if len(ids) < 2:
            continue
        for a, b in pairs(list(values)):
            common = [i for i in ids if i in values[a] and i in values[b]]
            result = compare([values[a][i] for i in common], [values[b][i] for i in common], seed)
            found.append((kind, a, b, result))
    whole = iter(holm([r.p for kind, _, _, r in found if kind == "all"]))
    single = iter(holm([r.p for kind, _, _, r in found if kind != "all"]))
    return [_verdict(kind, a, b, r, next(whole if kind == "all" else single)) for kind, a, b, r in found]


def _verdict(kind: str, a: str, b: str, r: Comparison, p: float) -> Verdict:
    decided = p < ALPHA and r.difference != 0
    better = (a if r.difference > 0 else b) if decided else "undecided"
    return Verdict(kind, a, b, better, p, r, _words(kind, a, b, r, better), _words_zh(kind, a, b, r, better))


def _words(kind: str, a: str, b: str, r: Comparison, better: str) -> str:
    """ "RAG beats LoRA on numbers: 0.81 vs 0.12, 95 % interval of the difference [0.60, 0.77], 40 questions." """
    subject, low, high = _oriented(a, b, r)
    first, second = (_label(x, 0) for x in subject)
    left, right = (r.a, r.b) if subject[0] == a else (r.b, r.a)
    where = KINDS.get(kind, (kind, kind))[0]
    if better == "undecided":
        text = (
            f"Undecided between {first} and {second} on {where}: {left:.2f} vs {right:.2f}, "
            f"95 % interval of the difference [{low:.2f}, {high:.2f}], {r.n} questions"
        )
        return f"{text}; {_needed(r)[0]}."
    text = f"{first} beats {second} on {where}: {left:.2f} vs {right:.2f}, "
    return text[0].upper() + text[1:] + f"95 % interval of the difference [{low:.2f}, {high:.2f}], {r.n} questions."


def _words_zh(kind: str, a: str, b: str, r: Comparison, better: str) -> str:
    subject, low, high = _oriented(a, b, r)
    first, second = (_label(x, 1) for x in subject)
    left, right = (r.a, r.b) if subject[0] == a else (r.b, r.a)
    where = KINDS.get(kind, (kind, kind))[1]
    span = f"{left:.2f} 对 {right:.2f}，差值的 95% 区间为 [{low:.2f}, {high:.2f}]，{r.n} 个问题"
    if better != "undecided":
        return f"在“{where}”上，{first} 优于 {second}：{span}。"
    return f"在“{where}”上，{first} 与 {second} 未分高下：{span}；{_needed(r)[1]}。"


def _oriented(a: str, b: str, r: Comparison) -> tuple[tuple[str, str], float, float]:
    """The pair with the higher one first, and the interval of the difference seen that way."""
    return ((a, b), r.low, r.high) if r.difference >= 0 else ((b, a), -r.high, -r.low)


def _needed(r: Comparison) -> tuple[str, str]:
    """What an undecided comparison would need, English and Chinese."""
    if r.needed is None:
        return "both score the same", "两者得分完全相同"
    if r.needed <= r.n:
        return "the number of comparisons made leaves it open", "因所做比较较多，尚不能判定"
    return (
        f"a difference of this size would need about {r.needed} questions",
        f"若差值确为如此，约需 {r.needed} 个问题才能判定",
    )


def _label(arm: str, language: int) -> str:
    return LABELS[arm][language] if arm in LABELS else arm
