"""OpenVINO in a process with several threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.models import openvino_session

# Threads change hands as often as the interpreter can: without a guarded first run this stops for good in eleven of twelve tries.
PROGRAM = """
import sys, threading
import numpy as np
from pathlib import Path
from rag.models.openvino_session import OpenvinoSession

sys.setswitchinterval(1e-7)
session, together = OpenvinoSession(Path(sys.argv[1]), threads=1), threading.Barrier(6)

def first():
    together.wait()
    shapes.append(session.run(np.zeros((1, 16, 384), np.float32), np.ones((1, 16), np.int32)).shape)

shapes = []
threads = [threading.Thread(target=first, daemon=True) for _ in range(6)]
for t in threads: t.start()
for t in threads: t.join()
print(shapes)
"""


@pytest.mark.skipif(not openvino_session.installed(), reason="openvino is not installed")
def test_the_first_runs_of_several_threads_do_not_stop_each_other(model: Callable[[str], Path]) -> None:
    graph = model("all-minilm-l6-v2") / "core.onnx"
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(graph)], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip() == str([(1, 16, 384)] * 6)
