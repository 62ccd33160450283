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

from rag.errors import ModelUnavailable, UsageError
from rag.models import machine, openvino_session
from rag.models.catalog import Model
from rag.protocols import Embedder, Vectors
from rag.retrieval import st_embedding

Engine = Literal["onnx", "openvino", "openvino-bf16", "torch", "torch-bf16"]
_PACKAGES: Mapping[Engine, str] = {
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "openvino-bf16": "openvino",
    "torch": "torch",
    "torch-bf16": "torch",
}
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
GATE = 0.999  # least cosine of any probe passage with its float32 vector
CLEARLY = 1.15  # times faster than onnxruntime, which opens soonest
TRIAL_SECONDS = 0.6  # an engine

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

    Raises UsageError for a setting that is no engine, ModelUnavailable when one is asked for that is not installed.
    """
    if setting not in ("auto", "onnx", "openvino", "torch"):
        raise UsageError(f"setting engine: {setting!r} is not auto, onnx, openvino or torch")
    if setting == "torch":
        st_embedding.import_torch("engine torch")
    if setting == "openvino" and not openvino_session.installed():
        raise ModelUnavailable("engine openvino: not installed; install it with: pip install openvino")
    names = candidates(
        setting,
        bf16=bool(machine.cpu_flags() & BF16_FLAGS),
        gpu=Path("/dev/nvidia0").exists(),
        openvino=openvino_session.installed(),
        torch=st_embedding.installed(),
    )
    if names == ("onnx",):
        return "onnx"
    installed = ", ".join(f"{p} {version(p)}" for p in ("onnxruntime", *sorted({_PACKAGES[n] for n in names[1:]})))
    found: Mapping[str, Mapping[str, float]] = machine.remembered(
        cache,
        f"engines {' '.join(names)} of {model.name} {model.sha256[:8]}, {installed}",
        lambda: _as_json(trial({n: load(n) for n in names})),
    )
    return pick({n: Trial(**t) for n, t in found.items()}, setting)


def candidates(setting: str, *, bf16: bool, gpu: bool, openvino: bool, torch: bool) -> tuple[Engine, ...]:
    """The engines that are worth a trial. "onnx" is always one: the others' vectors are compared with its own. torch is slower
    than OpenVINO on a processor and takes seconds to import, so it is for GPUs, and for bfloat16 without OpenVINO."""
    names: list[Engine] = ["onnx"]
    if setting in ("auto", "openvino") and openvino:
        names += ["openvino", "openvino-bf16"] if bf16 else ["openvino"]
    if setting == "torch" or (setting == "auto" and torch and gpu):
        names += ["torch", "torch-bf16"] if bf16 or gpu else ["torch"]
    elif setting == "auto" and torch and bf16 and not openvino:
        names += ["torch-bf16"]
    return tuple(names)


def pick(trials: Mapping[str, Trial], setting: str = "auto") -> Engine:
    """The fastest engine whose vectors agree; under "auto" onnxruntime unless another is clearly faster."""
    good: list[Engine] = [n for n in _PACKAGES if n in trials and trials[n].cosine >= GATE]
    if setting != "auto":
        good = [n for n in good if n.startswith(setting)] or ["onnx"]
    fastest = max(good, key=lambda n: trials[n].passages_per_second)
    if "onnx" in good and trials[fastest].passages_per_second < CLEARLY * trials["onnx"].passages_per_second:
        return "onnx"
    return fastest


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
