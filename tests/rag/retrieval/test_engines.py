"""The choice of an engine for many passages."""

import pytest

from rag.errors import UsageError
from rag.models.catalog import CATALOG
from rag.retrieval.engines import Trial, candidates, choose, pick, probe_texts, trial

BGE = CATALOG["bge-small-en-v1.5"]


def test_the_fastest_that_agrees_is_taken() -> None:
    trials = {"onnx": Trial(10, 1.0), "openvino": Trial(14, 1.0), "openvino-bf16": Trial(50, 0.9999)}
    assert pick(trials) == "openvino-bf16"


def test_a_fast_engine_with_other_vectors_is_not_taken() -> None:
    trials = {"onnx": Trial(10, 1.0), "openvino": Trial(14, 1.0), "openvino-bf16": Trial(50, 0.78)}
    assert pick(trials) == "openvino"


def test_onnxruntime_stays_unless_another_is_clearly_faster() -> None:
    assert pick({"onnx": Trial(10, 1.0), "openvino": Trial(11, 1.0)}) == "onnx"


def test_an_engine_that_is_asked_for_is_taken_even_when_slower() -> None:
    assert pick({"onnx": Trial(10, 1.0), "torch": Trial(2, 1.0), "torch-bf16": Trial(1, 1.0)}, "torch") == "torch"


def test_bfloat16_is_only_tried_where_the_processor_multiplies_it() -> None:
    here = {"gpu": False, "openvino": True, "torch": True}
    assert candidates("auto", bf16=False, **here) == ("onnx", "openvino")
    assert candidates("auto", bf16=True, **here) == ("onnx", "openvino", "openvino-bf16")


def test_torch_is_for_gpus_and_for_bfloat16_without_openvino() -> None:
    assert candidates("auto", bf16=True, gpu=False, openvino=False, torch=True) == ("onnx", "torch-bf16")
    assert "torch" in candidates("auto", bf16=False, gpu=True, openvino=True, torch=True)
    assert candidates("auto", bf16=False, gpu=False, openvino=False, torch=True) == ("onnx",)


def test_without_anything_else_it_is_onnxruntime() -> None:
    assert candidates("auto", bf16=True, gpu=False, openvino=False, torch=False) == ("onnx",)


def test_a_setting_that_is_no_engine_is_refused(tmp_path: object) -> None:
    with pytest.raises(UsageError, match="'cuda' is not auto, onnx"):
        choose(BGE, "cuda", tmp_path, lambda _: pytest.fail("nothing is loaded"))  # type: ignore[arg-type]


def test_a_trial_measures_speed_and_agreement() -> None:
    import numpy as np

    class Fixed:
        def __init__(self, vector: list[float]) -> None:
            self.vector = vector

        def embed_passages(self, texts: list[str]) -> object:
            return np.array([self.vector] * len(texts), np.float32)

    found = trial({"onnx": Fixed([1, 0]), "openvino": Fixed([0.6, 0.8])})  # type: ignore[dict-item]
    assert found["onnx"].cosine == pytest.approx(1.0)
    assert found["openvino"].cosine == pytest.approx(0.6)
    assert found["onnx"].passages_per_second > 0


def test_probe_texts_are_of_both_languages_and_several_lengths() -> None:
    texts = probe_texts()
    assert len({len(t) for t in texts}) >= 4
    assert any("出差" in t for t in texts)
