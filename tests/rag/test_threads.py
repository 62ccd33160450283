"""numpy's own threads would spin beside the embedders: there are none, unless the operator asks for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = (
    "import rag, os, numpy as np; m = np.ones((512, 512), np.float32); m @ m; print(len(os.listdir('/proc/self/task')))"
)


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir() or (os.cpu_count() or 1) < 2, reason="needs /proc and two cores"
)
@pytest.mark.parametrize(("asked", "threads"), [(None, 1), ("2", 2)])
def test_a_product_of_matrices_leaves_no_thread_behind(asked: str | None, threads: int) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    if asked is not None:
        env["OPENBLAS_NUM_THREADS"] = asked
    ran = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True)
    assert int(ran.stdout) == threads
