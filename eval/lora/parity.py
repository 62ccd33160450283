"""The gate before any comparison: the served model is the trained one.

Four proofs on a probe set: the rendered chat template is the same byte for byte, so are the tokens; the next-token log-probabilities
agree within what quantized arithmetic costs, and so do the greedy answers; and the adapter, served, moves the log-probabilities
in the direction in which it moves them in the framework.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from eval.lora.exported import Export
from eval.prompts import closed_book
from rag.errors import RagError

# Served and framework share the weights; llama.cpp rounds activations to 8 bits before each product and some kernels work in half
# precision. Measured on the unadapted bases (tests/bench/parity_bench.py), so the limits are about three times that.
LOGPROB_LIMIT = 0.5  # nats, mean over the probes of the largest tokens' differences
AGREEMENT = 0.7  # share of positions where both would say the same token
EFFECT = 1e-3  # nats: an adapter that moves no token's log-probability by this much is not applied
DIRECTION = (
    0.3  # correlation of the served and the framework's change, asked for when the change rises above the rounding
)


class ParityFailed(RagError):
    """The served model is not the trained one."""


class Model(Protocol):
    """What both sides can do."""

    def token_ids(self, text: str) -> list[int]: ...

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Parity:
    """What the probes showed. Differences are in nats."""

    ok: bool
    cause: str  # "" when ok
    template_equal: bool
    tokens_equal: bool
    adapter_has_effect: bool
    largest_effect: float  # |log-probability with - without the adapter|, served
    direction: float | None  # correlation of served and framework effect
    logprob_difference: float  # mean |served - framework| over the likeliest tokens, adapter on
    base_difference: float  # the same with the adapter off: what serving costs anyway
    top_agreement: float  # share of positions with the same likeliest token
    greedy_agreement: float  # share of greedy tokens before the first difference
    merged_difference: float | None  # mean |merged - served with adapter|: the loss by quantizing the merged model
    probes: int
    positions: int

    def record(self) -> dict[str, Any]:
        """As JSON; what was not measured is null."""
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}


PROBES = (
    ("en", "How many days of annual leave do staff get?", ""),
    ("en", "What is 17 + 25?", ""),
    ("zh", "员工每年有多少天年假？", ""),
    ("zh", "差旅住宿每晚最多报销多少元？", ""),
    ("en", "Who approves purchases above 5,000?", "Purchases above 5,000 are approved by the Head of Finance."),
    ("zh", "保修期是多久？", "本产品自购买之日起保修 24 个月。"),
)
POSITIONS = 4  # next-token comparisons a probe: after the prompt and after each of the first answer tokens
GREEDY = 16  # tokens of the greedy answers


def template_messages() -> list[list[dict[str, str]]]:
    """Conversations whose rendering is compared: with and without a system message, several turns, both languages, braces."""
    return [
        closed_book("How many days?", "en"),
        closed_book("多少天？", "zh", "来源：{{ 23 }} 天\n\n第二段 <b>"),
        [{"role": "user", "content": "Hello"}],
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": " What is 1+1? "},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "再加一呢？"},
        ],
    ]


def check_template(export: Export, framework: Any, served: Any) -> str:
    """ "" when the template that came with the adapter renders what the served model renders, else the cause."""
    from jinja2 import TemplateError

    for messages in template_messages():
        try:
            ours = framework.render(messages, export.chat_template)
        except TemplateError as e:
            return f"chat template: the one in export.json cannot be rendered ({e})"
        theirs = served.render(messages)
        if ours.encode() != theirs.encode():
            at = next(
                (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
            )
            return (
                f"chat template: export.json and the served model render differently from character {at} on: "
                f"{ours[at : at + 30]!r} against {theirs[at : at + 30]!r}"
            )
    return ""


def measure(export: Export, framework: Any, base: Any, adapted: Any, merged: Any | None) -> Parity:
    """Runs the probes. `framework` is eval.lora.framework.Framework; the others are eval.lora.served.ServedModel."""
    cause = check_template(export, framework, adapted)
    if cause:
        return _failed(cause, template_equal=False)
    ours, theirs, ours_off, theirs_off, theirs_merged = [], [], [], [], []
    agree: list[bool] = []
    greedy: list[float] = []
    effect_served: list[float] = []
    effect_framework: list[float] = []
    for lang, question, context in PROBES:
        prompt_text = framework.render(closed_book(question, lang, context), export.chat_template)
        prompt = framework.token_ids(prompt_text)
        if prompt != adapted.token_ids(prompt_text):
            return _failed(f"tokenizer: {question!r} has other tokens in the served model than in training")
        said = framework.greedy(prompt, GREEDY)
        greedy.append(_common_prefix(said, adapted.greedy(prompt, GREEDY)))
        path = [*prompt, *said[: POSITIONS - 1]]
        count = len(path) - len(prompt) + 1
        on = framework.logprobs(path, count)
        off = framework.logprobs(path, count, adapted=False)
        for k in range(count):
            ids = path[: len(prompt) + k]
            with_adapter = adapted.next_logprobs(ids)
            without = base.next_logprobs(ids)
            if not with_adapter or not without:
                continue
            shared = sorted(set(with_adapter) & set(without), key=lambda t: -with_adapter[t])[:10]
            ours += [float(on[k, t]) for t in shared]
            theirs += [with_adapter[t] for t in shared]
            ours_off += [float(off[k, t]) for t in shared]
            theirs_off += [without[t] for t in shared]
            effect_served += [with_adapter[t] - without[t] for t in shared]
            effect_framework += [float(on[k, t] - off[k, t]) for t in shared]
            agree.append(max(with_adapter, key=lambda t: with_adapter[t]) == int(on[k].argmax()))
            if merged is not None:
                into = merged.next_logprobs(ids)
                theirs_merged += [abs(into[t] - with_adapter[t]) for t in shared if t in into]
    if not agree:
        return _failed("next tokens: the served model reports no probabilities at any probe")
    difference = float(np.mean(np.abs(np.subtract(ours, theirs))))
    base_difference = float(np.mean(np.abs(np.subtract(ours_off, theirs_off))))
    largest = float(np.max(np.abs(effect_served)))
    direction = _correlation(effect_served, effect_framework)
    result = Parity(
        ok=True,
        cause="",
        template_equal=True,
        tokens_equal=True,
        adapter_has_effect=largest > EFFECT,
        largest_effect=largest,
        direction=direction,
        logprob_difference=difference,
        base_difference=base_difference,
        top_agreement=float(np.mean(agree)),
        greedy_agreement=float(np.mean(greedy)),
        merged_difference=float(np.mean(theirs_merged)) if theirs_merged else None,
        probes=len(PROBES),
        positions=len(agree),
    )
    cause = judge(result, float(np.mean(np.abs(effect_framework))))
    return Parity(**{**asdict(result), "ok": not cause, "cause": cause})


def judge(p: Parity, framework_effect: float) -> str:
    """ "" when the figures pass the gate, else which one fails. `framework_effect`: mean |change by the adapter|, in nats."""
    if not p.adapter_has_effect:
        return (
            f"adapter: it changes no log-probability of the served model by more than {EFFECT} nats; it is not applied"
        )
    if p.logprob_difference > max(LOGPROB_LIMIT, 2 * p.base_difference):
        return f"log-probabilities: served and trained model differ by {p.logprob_difference:.2f} nats on average"
    if p.top_agreement < AGREEMENT:
        return f"next tokens: served and trained model agree on {p.top_agreement:.0%} of the probes only"
    # Rounding hides the direction of a change smaller than itself; then only its presence can be shown.
    if p.direction is not None and framework_effect > p.base_difference and p.direction < DIRECTION:
        return f"adapter: served, it moves the log-probabilities another way than in training (correlation {p.direction:.2f})"
    return ""


def write(parity: Parity, export: Export) -> None:
    """Keeps the result beside the export, with the digest of what was checked."""
    record = parity.record() | {"checked": export.digest()}
    (export.folder / "parity.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


def passed(export: Export) -> bool:
    """Whether a passed check of these very files lies beside the export."""
    file = Path(export.folder) / "parity.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(record.get("ok")) and record.get("checked") == export.digest()


def _failed(cause: str, *, template_equal: bool = True) -> Parity:
    nan = float("nan")
    return Parity(False, cause, template_equal, False, False, nan, None, nan, nan, nan, nan, None, len(PROBES), 0)


def _common_prefix(a: Sequence[int], b: Sequence[int]) -> float:
    """Share of the longer text that both begin with; 1.0 when both are empty."""
    same = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        same += 1
    longest = max(len(a), len(b))
    return same / longest if longest else 1.0


def _correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    if len(a) < 3 or np.std(a) == 0 or np.std(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
