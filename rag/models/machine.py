"""What this machine has: memory, memory bandwidth, and a small file in the cache that remembers what was measured on it."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

MEASURED = ".measured.json"
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_gb() -> float:
    """Memory that this process may use, in GB: the machine's, or less where a container allows less."""
    import psutil

    limits = [float(psutil.virtual_memory().total)]
    for name in _CGROUP_LIMITS:
        path = Path(name)
        if path.exists() and (text := path.read_text(encoding="ascii").strip()).isdigit():
            limits.append(float(text))
    return min(limits) / 1e9


def processor() -> str:
    """The processor's name and how many of its cores we may use."""
    path = Path("/proc/cpuinfo")
    name = platform.processor() or platform.machine()
    if path.exists():
        names = [line.split(":", 1)[1] for line in path.read_text().splitlines() if line.startswith("model name")]
        name = names[0].strip() if names else name
    return f"{name}, {cores()} cores"


def cpu_flags() -> frozenset[str]:
    """Instruction sets as Linux names them ("avx2", "avx512_bf16", "amx_bf16"); empty where they cannot be read."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return frozenset()
    lines = (line for line in path.read_text().splitlines() if line.startswith("flags"))
    return frozenset(next(lines, ":").split(":", 1)[1].split())


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bandwidth(seconds: float = 0.5) -> float:
    """Bytes a second that all cores together read from memory: the best of several sums over an array far larger than the
    processor's caches."""
    workers = min(cores(), 8)
    array = np.ones(workers * (16 << 20), np.int64)  # 128 MiB a core
    slices = np.split(array, workers)
    best = 0.0
    with ThreadPoolExecutor(workers) as pool:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            list(pool.map(np.sum, slices))  # numpy lets go of the interpreter lock
            best = max(best, array.nbytes / (time.perf_counter() - start))
    return best


def flops(seconds: float = 0.3) -> float:
    """Operations a second of 32-bit matrix products, the best of several."""
    a = np.ones((768, 768), np.float32)
    a @ a  # threads start
    best = 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ a
        best = max(best, 2 * 768**3 / (time.perf_counter() - start))
    return best


def remembered(cache: Path, key: str, measure: Callable[[], Any]) -> Any:
    """`measure()`, or what it gave on this processor before. A cache that cannot be written only costs measuring again."""
    known = _read(cache)
    key = f"{processor()}: {key}"
    if key not in known:
        known[key] = measure()
        _write(cache, known)
    return known[key]


def best(cache: Path, key: str, measure: Callable[[], float]) -> float:
    """The largest value that `measure` ever gave on this processor: a busy machine measures too little, never too much."""
    known = _read(cache)
    key = f"{processor()}: {key}"
    found = measure()
    if found > known.get(key, 0.0):
        known[key] = found
        _write(cache, known)
    return float(known[key])


def _read(cache: Path) -> dict[str, Any]:
    try:
        known = json.loads((cache / MEASURED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(cache: Path, known: dict[str, Any]) -> None:
    path = cache / MEASURED
    scratch = path.with_name(f"{MEASURED}.{os.getpid()}")
    with suppress(OSError):  # a cache that cannot be written is no reason to fail
        cache.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(known, indent=1), encoding="utf-8")
        scratch.replace(path)
