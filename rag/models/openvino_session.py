"""The same BERT graph on OpenVINO: faster for many passages, and in bfloat16 where the processor multiplies it. The home of
openvino."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
ROUND = 16  # lengths are rounded up to a multiple: every new shape has to be compiled, tens of milliseconds each

# Two first runs at once in one process stop it for good: the library looks up numpy the first time with a lock of its own, in which it waits for
# the interpreter while the other thread holds that and waits for the lock.
_FIRST = Lock()


class OpenvinoSession:
    """Runs a graph that `bert_graph` wrote. Thread-safe."""

    def __init__(self, graph: Path, *, threads: int = 0, precision: Literal["f32", "bf16"] = "f32") -> None:
        import openvino

        options: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # other work shares these cores
        }
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        with _FIRST:
            self._model = openvino.Core().compile_model(str(graph), "CPU", options)
            width = self._model.input("inputs_embeds").partial_shape[2].get_length()
            self.run(np.zeros((1, ROUND, width), np.float32), np.ones((1, ROUND), np.int32))

    def run(self, embeds: Array, mask: NDArray[np.int32]) -> Array:
        """(b, t, h) word rows and (b, t) mask to (b, t, h) states."""
        tokens = mask.shape[1]
        more = -tokens % ROUND
        if more:
            embeds = np.pad(embeds, ((0, 0), (0, more), (0, 0)))
            mask = np.pad(mask, ((0, 0), (0, more)))
        request = self._model.create_infer_request()  # one a call: a request is not safe for threads
        states: Array = request.infer({"inputs_embeds": embeds, "mask": mask})[0]
        return np.array(states[:, :tokens])


def installed() -> bool:
    """Whether OpenVINO can be imported; does not import it."""
    return importlib.util.find_spec("openvino") is not None
