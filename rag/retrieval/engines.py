"""Which engine embeds many passages fastest here: told by what the processor has and by a short trial, remembered in the cache.

bfloat16 pays where the processor multiplies it (AVX512_BF16, AMX) and is several times slower than float32 where it does not, so
it is only tried with the instructions there, and only taken when its vectors agree with float32's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rag.errors import UsageError
from rag.models import machine
from rag.models.catalog import Model
from rag.protocols import Embedder, Vectors
from rag.retrieval import st_embedding

Engine = Literal["onnx", "torch", "torch-bf16"]
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
GATE = 0.999  # least cosine of any probe passage with its float32 vector
CLEARLY = 1.3  # times faster than onnxruntime, for torch takes seconds to import
TRIAL_SECONDS = 1.0  # an engine

_PROBE = (
    "Travel above {n} kroner needs the written approval of the head of department, and receipts are handed in within {m} days "
    "of the return, sorted by date; what is later is paid only with a reason. ",
    "出差到成都的住宿标准为每晚 {n} 元，超过部分由员工自行承担；返回后 {m} 天内提交报销单据，逾期须说明理由并由部门负责人签字。",
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What one engine did with the probe passages."""

    passages_per_second: float
    cosine: float  # least, with the float32 vectors


def choose(model: Model, setting: str, cache: Path, load: Callable[[Engine], Embedder]) -> Engine:
    """The engine for many passages of a catalog embedder; `setting` is the settings' `engine`, `load` opens one.

    Raises UsageError for a setting that is no engine, ModelUnavailable when "torch" is asked for and not installed.
    """
    if setting not in ("auto", "onnx", "torch"):
        raise UsageError(f"setting engine: {setting!r} is not auto, onnx or torch")
    if setting == "onnx" or (setting == "auto" and not (st_embedding.installed() and worth_a_trial())):
        return "onnx"
    if setting == "torch":
        st_embedding.import_torch("engine torch")
    names: tuple[Engine, ...] = ("onnx", "torch", "torch-bf16") if worth_a_trial() else ("onnx", "torch")
    key = f"{model.name} {model.sha256[:8]}, onnxruntime {version('onnxruntime')}, torch {version('torch')}"
    found: Mapping[str, Mapping[str, float]] = machine.remembered(
        cache, f"engines of {key}", lambda: _as_json(trial({n: load(n) for n in names}))
    )
    return pick({n: Trial(**t) for n, t in found.items()}, torch_only=setting == "torch")


def worth_a_trial() -> bool:
    """Whether torch can be faster here: a processor with bfloat16, or an NVIDIA card."""
    return bool(machine.cpu_flags() & BF16_FLAGS) or Path("/dev/nvidia0").exists()


def pick(trials: Mapping[str, Trial], *, torch_only: bool = False) -> Engine:
    """The fastest engine whose vectors agree; onnxruntime unless another is clearly faster."""
    order: tuple[Engine, ...] = ("torch", "torch-bf16") if torch_only else ("onnx", "torch", "torch-bf16")
    good: list[Engine] = [n for n in order if n in trials and trials[n].cosine >= GATE]
    chosen: Engine = "torch" if torch_only else "onnx"
    for name in good:
        margin = CLEARLY if chosen == "onnx" else 1.0
        if trials[name].passages_per_second > margin * trials[chosen].passages_per_second:
            chosen = name
    return chosen


def trial(engines: Mapping[Engine, Embedder]) -> Mapping[str, Trial]:
    """Each engine over the same passages in turns, the best turn counted: a busy machine only ever slows one down."""
    texts = probe_texts()
    vectors: dict[str, Vectors] = {}
    best: dict[str, float] = dict.fromkeys(engines, 0.0)
    spent: dict[str, float] = dict.fromkeys(engines, 0.0)
    for name, engine in engines.items():
        vectors[name] = engine.embed_passages(texts)  # also warms it up
    while any(s < TRIAL_SECONDS for s in spent.values()):
        for name, engine in engines.items():
            if spent[name] < TRIAL_SECONDS:
                start = time.perf_counter()
                engine.embed_passages(texts)
                seconds = time.perf_counter() - start
                spent[name] += seconds
                best[name] = max(best[name], len(texts) / seconds)
    exact = vectors["onnx"]
    return {n: Trial(round(best[n], 2), float(np.einsum("ij,ij->i", vectors[n], exact).min())) for n in engines}


def probe_texts() -> Sequence[str]:
    """16 passages of 60 to 240 tokens, Chinese and English."""
    return ["".join(_PROBE[i % 2].format(n=100 + 7 * i + j, m=10 + i) for j in range(1 + i % 4)) for i in range(16)]


def _as_json(trials: Mapping[str, Trial]) -> dict[str, dict[str, Any]]:
    return {n: {"passages_per_second": t.passages_per_second, "cosine": round(t.cosine, 6)} for n, t in trials.items()}
