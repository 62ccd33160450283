"""What surrounds the training loop: encoding, order, memory, checkpoints, gate, Modelfile."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eval.lora.encoding import IGNORED, encode, messages_of, order
from eval.lora.examples import TEXT, Example
from eval.lora.memory import Shape, TrainingTooLarge, estimate, refuse_unless_fits
from eval.lora.modelfile import modelfile
from eval.lora.parity import Parity, judge
from eval.lora.training import Recipe, _no_better, _schedule
from rag.errors import UsageError

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class Letters:
    """A tokenizer of single characters; the end of turn is token 0."""

    chat_template = CHATML
    eos_token_id = 0

    def __call__(self, text: str, add_special_tokens: bool) -> Any:
        return SimpleNamespace(input_ids=[ord(c) for c in text])

    def convert_tokens_to_ids(self, token: str) -> int:
        return 0

    def apply_chat_template(self, messages: list[dict[str, str]], **_: Any) -> str:
        return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>"


def test_only_the_answer_and_its_end_are_learned() -> None:
    (e,) = encode([Example("Q?", "", "ab")], Letters(), 400)  # type: ignore[arg-type]
    assert [y for y in e.labels if y != IGNORED] == [ord("a"), ord("b"), 0]
    assert e.ids[-3:] == (ord("a"), ord("b"), 0)
    assert len(e.ids) == len(e.labels)


def test_a_long_prompt_loses_its_beginning_and_never_the_answer() -> None:
    (e,) = encode([Example("Q" * 500, "", "ab")], Letters(), 20)  # type: ignore[arg-type]
    assert len(e.ids) == 20
    assert e.ids[-3:] == (ord("a"), ord("b"), 0)


def test_plain_text_is_packed_and_learned_whole() -> None:
    found = encode([Example("", "", "abc", kind=TEXT), Example("", "", "de", kind=TEXT)], Letters(), 4)  # type: ignore[arg-type]
    assert [e.ids for e in found] == [(97, 98, 99, 0), (100, 101, 0)]
    assert all(e.labels == e.ids for e in found)


def test_a_raft_example_is_asked_as_the_service_asks() -> None:
    messages = messages_of(Example("How many?", "", "23 [1]", sources=(("Leave", "23 days"), ("Pay", "x"))))
    assert "[1] Leave\n23 days" in messages[1]["content"]
    assert "numbered sources" in messages[0]["content"]


def test_every_epoch_has_every_example_once_and_the_seed_decides() -> None:
    lengths = [7, 3, 9, 1, 5]
    first = list(itertools.islice(order(lengths, 2, 1), 6))
    assert sorted(i for b in first[:3] for i in b) == [0, 1, 2, 3, 4]
    assert sorted(i for b in first[3:] for i in b) == [0, 1, 2, 3, 4]
    assert first == list(itertools.islice(order(lengths, 2, 1), 6))
    assert first != list(itertools.islice(order(lengths, 2, 2), 6))


def test_a_training_that_does_not_fit_is_refused_with_what_would() -> None:
    shape = Shape(500_000_000, 896, 24, 4864, 151_936, 8, batch=32, length=2048)
    assert estimate(Shape(500_000_000, 896, 24, 4864, 151_936, 8, batch=1, length=128)) < estimate(shape)
    with pytest.raises(TrainingTooLarge, match=r"needs about .* GB and 4\.0 GB are free; --batch 1 --checkpointing"):
        refuse_unless_fits(shape, 4 * 1024**3)
    with pytest.raises(TrainingTooLarge, match="smaller base"):
        refuse_unless_fits(shape, 2**20)


def test_the_rate_rises_and_falls() -> None:
    rates = [_schedule(s, 20, 0.1) for s in range(20)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[-1] < 0.12
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_training_stops_when_validation_gets_no_better() -> None:
    losses = [(1, 2.0), (2, 1.5), (3, 1.6), (4, 1.5), (5, 1.7)]
    assert not _no_better(losses[:4], 3)
    assert _no_better(losses, 3)


def test_a_recipe_without_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Recipe(rank=0)


def test_the_modelfile_writes_template_and_stops_out() -> None:
    text = modelfile(CHATML)
    assert text.startswith('FROM ./model.gguf\nTEMPLATE """')
    assert "{{ .Content }}<|im_end|>" in text
    assert 'PARAMETER stop "<|im_end|>"' in text
    with pytest.raises(UsageError, match="not ChatML"):
        modelfile("[INST] {{ messages }} [/INST]")


def test_a_default_system_message_is_kept() -> None:
    template = (
        "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}" + CHATML
    )
    assert "<|im_start|>system\nBe kind.<|im_end|>" in modelfile(template)


def _parity(**changes: Any) -> Parity:
    good: dict[str, Any] = {
        "ok": True, "cause": "", "template_equal": True, "tokens_equal": True, "adapter_has_effect": True, "largest_effect": 1.0,
        "direction": 0.95, "logprob_difference": 0.05, "base_difference": 0.05, "top_agreement": 1.0, "greedy_agreement": 0.9,
        "merged_difference": 0.02, "probes": 6, "positions": 20,
    }  # fmt: skip
    return Parity(**{**good, **changes})


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, ""),
        ({"adapter_has_effect": False}, "not applied"),
        ({"logprob_difference": 3.0}, "log-probabilities"),
        ({"top_agreement": 0.2}, "next tokens"),
        ({"direction": -0.1}, "another way"),
    ],
)
def test_the_gate_names_what_fails(changes: dict[str, Any], cause: str) -> None:
    found = judge(_parity(**changes), framework_effect=0.5)
    assert cause in found
    assert bool(found) == bool(cause)


def test_what_was_not_measured_is_null_in_json() -> None:
    assert _parity(logprob_difference=float("nan")).record()["logprob_difference"] is None


def test_a_change_below_the_rounding_has_no_direction_to_show() -> None:
    assert judge(_parity(direction=0.0), framework_effect=0.01) == ""


def test_checkpoints_of_another_training_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from eval.lora import checkpoints

    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    progress = checkpoints.Progress(step=1, losses=[0.5])
    checkpoints.save(tmp_path, progress, {"seed": 1}, {"w": weight}, optimizer)
    found = checkpoints.latest(tmp_path)
    assert found is not None
    other = torch.nn.Parameter(torch.zeros(2))
    again = torch.optim.AdamW([other])
    assert checkpoints.load(found, {"seed": 1}, {"w": other}, again).losses == [0.5]
    assert torch.equal(other, weight)
    assert torch.equal(again.state[other]["exp_avg"], optimizer.state[weight]["exp_avg"])
    with pytest.raises(UsageError, match="seed = 1, not 2"):
        checkpoints.load(found, {"seed": 2}, {"w": other}, again)
