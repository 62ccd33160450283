"""The BERT graph on onnxruntime: opens in a tenth of a second. The home of onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class OnnxSession:
    """Runs a graph that `bert_graph` wrote. Thread-safe."""

    def __init__(self, graph: Path, *, threads: int = 0) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # The arena keeps the largest batch's memory for ever; a service that embeds once a second needs none of it.
        options.enable_cpu_mem_arena = False
        self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def run(self, embeds: Array, mask: NDArray[np.int32]) -> Array:
        """(b, t, h) word rows and (b, t) mask to (b, t, h) states."""
        states: Array = self._session.run(None, {"inputs_embeds": embeds, "mask": mask})[0]
        return states
