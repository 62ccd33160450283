"""The embedded engine with a small real model (135M): the same promises as the servers, and the prompt cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread, Timer

import pytest

from rag.errors import GeneratorFailed, ModelUnavailable, PromptTooLong
from rag.generation.embedded_chat import EmbeddedGenerator
from rag.types import GenerationEnd, Message, TextDelta

pytestmark = pytest.mark.slow
ASK = [Message("system", "You are short."), Message("user", "Name the capital of France.")]


@pytest.fixture(scope="module")
def generator(model: Callable[[str], Path]) -> Iterator[EmbeddedGenerator]:
    made = EmbeddedGenerator(model("smollm2-135m-instruct"), "smol", context_length=2048, threads=2)
    yield made
    made.close()
    made.close()


def _end(events: list[TextDelta | GenerationEnd]) -> GenerationEnd:
    end = events[-1]
    assert isinstance(end, GenerationEnd)
    return end


def test_it_answers_and_counts_exactly(generator: EmbeddedGenerator) -> None:
    events = list(generator.stream(ASK, max_tokens=16))
    text = "".join(e.text for e in events if isinstance(e, TextDelta))
    assert "Paris" in text
    assert _end(events).prompt_tokens == generator.count_tokens(ASK)
    assert sum(isinstance(e, GenerationEnd) for e in events) == 1


def test_greedy_answers_repeat(generator: EmbeddedGenerator) -> None:
    first, second = ([e for e in generator.stream(ASK, max_tokens=16) if isinstance(e, TextDelta)] for _ in range(2))
    assert first == second


def test_the_prefix_of_an_earlier_prompt_is_not_read_again(generator: EmbeddedGenerator) -> None:
    system = Message("system", "You answer from sources. " * 20)
    list(generator.stream([system, Message("user", "What is blue?")], max_tokens=2))
    end = _end(list(generator.stream([system, Message("user", "What is green?")], max_tokens=2)))
    assert end.cached_tokens > 80
    assert end.prompt_tokens - end.cached_tokens < 30


def test_an_earlier_prompt_comes_back_after_another_one(generator: EmbeddedGenerator) -> None:
    one, other = ([Message("system", "S"), Message("user", f"Read this: {word} " * 40)] for word in ("alpha", "omega"))
    for messages in (one, other):
        list(generator.stream(messages, max_tokens=2))
    end = _end(list(generator.stream(one, max_tokens=2)))
    assert end.cached_tokens > 0.9 * end.prompt_tokens


def test_the_answer_stops_at_the_limit(generator: EmbeddedGenerator) -> None:
    end = _end(list(generator.stream([Message("user", "Count from one to fifty.")], max_tokens=5)))
    assert end.finish_reason == "length" and end.answer_tokens == 5


def test_a_schema_gives_json(generator: EmbeddedGenerator) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    }
    events = generator.stream(ASK, max_tokens=60, schema=schema)
    read = json.loads("".join(e.text for e in events if isinstance(e, TextDelta)))
    assert list(read) == ["city"]


def test_cancelling_stops_it_while_it_reads_and_while_it_writes(generator: EmbeddedGenerator) -> None:
    # So small a model may end "Count to 1000." after six words: the schema lets it not.
    long = {"type": "array", "items": {"type": "integer"}, "minItems": 200}
    for text, limit, schema in (("word " * 1800, 8, None), ("Count to 1000.", 900, long)):
        cancel = Event()
        Timer(0.3, cancel.set).start()
        started = time.monotonic()
        events = generator.stream([Message("user", text)], max_tokens=limit, schema=schema, cancel=cancel)
        assert _end(list(events)).finish_reason == "cancelled"
        assert time.monotonic() - started < 3
    assert _end(list(generator.stream(ASK, max_tokens=4))).answer_tokens == 4  # the next question is answered


def test_two_callers_are_queued_and_one_that_gives_up_does_not_wait(generator: EmbeddedGenerator) -> None:
    ends: list[GenerationEnd] = []
    thread = Thread(target=lambda: ends.append(_end(list(generator.stream(ASK, max_tokens=12)))))
    thread.start()
    cancel = Event()
    cancel.set()
    assert _end(list(generator.stream(ASK, max_tokens=12, cancel=cancel))).finish_reason == "cancelled"
    thread.join(60)
    assert ends and ends[0].finish_reason in ("stop", "length")


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(generator: EmbeddedGenerator) -> None:
    with pytest.raises(PromptTooLong, match="2048"):
        list(generator.stream([Message("user", "word " * 4000)], max_tokens=8))


def test_template_marks_in_a_message_are_counted_as_the_model_reads_them(generator: EmbeddedGenerator) -> None:
    assert generator.count_tokens([Message("user", "a b c")]) < generator.count_tokens([Message("user", "a b c " * 9)])


def test_a_missing_file_and_a_file_that_is_no_model_are_said(tmp_path: Path) -> None:
    missing = EmbeddedGenerator(tmp_path / "no.gguf", "no")
    assert "rag models pull" in missing.check()[0]
    with pytest.raises(ModelUnavailable, match=r"no\.gguf"):
        list(missing.stream(ASK, max_tokens=2))
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"nothing of a model")
    assert "not a GGUF" in EmbeddedGenerator(bad, "bad").check()[0]
    with pytest.raises(GeneratorFailed, match=r"bad\.gguf"):
        list(EmbeddedGenerator(bad, "bad").stream(ASK, max_tokens=2))


def test_an_idle_model_reads_ahead_and_a_question_interrupts_it(
    generator: EmbeddedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.generation.embedded_chat.READ_AHEAD_AFTER", 0.05)
    for _ in range(2):
        list(generator.stream(ASK, max_tokens=2))
    beginning, sources = (
        [Message("system", "S"), Message("user", "The shelf holds forms and bills. " * n)] for n in (15, 30)
    )
    half, read = Event(), Event()
    generator.read_ahead([(beginning, half.set), (sources, read.set)])
    assert read.wait(30) and half.is_set()
    end = _end(list(generator.stream([sources[0], Message("user", sources[1].content + "What?")], max_tokens=2)))
    assert end.cached_tokens > 0.9 * end.prompt_tokens - 12
    never = Event()
    generator.read_ahead([([Message("user", "word " * 1800)], never.set)])
    list(generator.stream(ASK, max_tokens=2))
    assert not never.is_set()
    generator.read_ahead([([Message("user", "word " * 30)], never.set)])
    generator.warm(ASK)  # a question is being searched for
    assert not never.wait(1.0)


def test_the_chance_of_a_first_word_is_told(generator: EmbeddedGenerator) -> None:
    say = [Message("user", "Reply with one word only. What is the capital of France?")]
    first = next(e.text for e in generator.stream(say, max_tokens=4) if isinstance(e, TextDelta)).strip()
    likely, unlikely = generator.chance(say, first), generator.chance(say, "Zebra crossing")
    assert likely is not None and unlikely is not None and 1.0 >= likely > 0.2 > unlikely >= 0.0
    cancelled = Event()
    cancelled.set()
    assert generator.chance(say, first, cancelled) is None


@pytest.mark.parametrize(
    ("asked", "policy", "is_500"), [({}, "PASSIVE", True), ({"OMP_WAIT_POLICY": "active"}, "ACTIVE", False)]
)
def test_waiting_threads_look_for_a_moment_and_then_sleep_unless_the_operator_says_otherwise(
    model: Callable[[str], Path], asked: dict[str, str], policy: str, is_500: bool
) -> None:
    program = (
        "import sys; from pathlib import Path; from rag.generation.embedded_chat import EmbeddedGenerator; "
        "EmbeddedGenerator(Path(sys.argv[1]), 'smol', context_length=256, threads=2).warm()"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    ran = subprocess.run(
        [sys.executable, "-c", program, model("smollm2-135m-instruct")],
        env=env | asked | {"OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,  # a program that ends as soon as the model is loaded does end
    )
    told = dict(line.strip().split(" = ", 1) for line in ran.stderr.splitlines() if " = " in line)
    assert told["OMP_WAIT_POLICY"] == f"'{policy}'", ran.stderr
    assert (told["GOMP_SPINCOUNT"] == "'500'") is is_500
