"""Our Ollama generator against what a real 0.24 server answered (recorded), and against a slow server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from threading import Event, Timer

import httpx
import pytest

from rag.errors import (
    GeneratorBusy,
    GeneratorDown,
    GeneratorFailed,
    GeneratorTimeout,
    ModelMissing,
    PromptTooLong,
    StreamBroken,
)
from rag.generation.ollama_chat import OllamaGenerator
from rag.types import GenerationEnd, Message, TextDelta

from .playback import playing, recorded, slow_server

ASK = [Message("user", "Name the capital of France in one word.")]


def text_and_end(events: Iterator[TextDelta | GenerationEnd]) -> tuple[str, GenerationEnd]:
    *deltas, end = list(events)
    assert isinstance(end, GenerationEnd)
    return "".join(d.text for d in deltas if isinstance(d, TextDelta)), end


def test_a_recorded_stream_gives_its_text_and_its_counts() -> None:
    generator = OllamaGenerator("qwen05", transport=playing(recorded("chat, streamed")))
    assert text_and_end(generator.stream(ASK, max_tokens=32)) == ("北京", GenerationEnd("stop", 23, 0, 2))


def test_every_request_bounds_context_and_answer_and_forbids_silent_cutting() -> None:
    seen: list[dict] = []
    generator = OllamaGenerator("qwen05", transport=playing(recorded("chat, streamed"), seen), context_length=2048)
    list(generator.stream(ASK, max_tokens=32, stop=["\n"], schema={"type": "object"}, seed=7))
    body = seen[0]
    assert body["options"] == {"num_ctx": 2048, "num_predict": 32, "temperature": 0.0, "seed": 7, "stop": ["\n"]}
    assert body["truncate"] is False and body["shift"] is False
    assert body["keep_alive"] and body["format"] == {"type": "object"}


def test_a_stop_by_length_is_reported() -> None:
    generator = OllamaGenerator("qwen05", transport=playing(recorded("chat, stopped by num_predict")))
    assert text_and_end(generator.stream(ASK, max_tokens=8))[1].finish_reason == "length"


@pytest.mark.parametrize(
    ("name", "error", "word"),
    [
        ("chat, model missing", ModelMissing, "ollama pull"),
        ("chat, truncate false, too long, streamed", PromptTooLong, "RAG_SOURCE_TOKENS"),
        ("chat, option of wrong type", GeneratorFailed, "500"),
        ("unknown path", ModelMissing, "qwen05"),
    ],
)
def test_recorded_failures_are_typed_and_name_the_next_step(name: str, error: type[Exception], word: str) -> None:
    generator = OllamaGenerator("qwen05", transport=playing(recorded(name)))
    with pytest.raises(error, match=word):
        list(generator.stream(ASK, max_tokens=8))


def test_an_error_line_in_a_stream_of_status_200_is_an_error() -> None:
    failed = recorded("create, file is no model")["response"]["body"][-1:]
    exchange = {"response": {"status": 200, "content_type": "application/x-ndjson", "body": failed}}
    with pytest.raises(StreamBroken, match="GGUF"):
        list(OllamaGenerator("m", transport=playing(exchange)).stream(ASK, max_tokens=8))


def test_a_busy_server_and_a_stranger_at_the_address_are_told_apart() -> None:
    def busy(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503, json={"error": "server busy, please try again.  maximum pending requests exceeded"})

    with pytest.raises(GeneratorBusy, match="try again"):
        list(OllamaGenerator("m", transport=lambda: httpx.MockTransport(busy)).stream(ASK, max_tokens=8))

    def page(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, html="<html>proxy error</html>")

    with pytest.raises(GeneratorFailed, match="OLLAMA_HOST"):
        list(OllamaGenerator("m", transport=lambda: httpx.MockTransport(page)).stream(ASK, max_tokens=8))


def test_a_stream_that_ends_without_done_is_an_error() -> None:
    lines = [json.dumps({"message": {"role": "assistant", "content": "Par"}, "done": False})]
    exchange = {"response": {"status": 200, "content_type": "application/x-ndjson", "body": lines}}
    with pytest.raises(StreamBroken):
        list(OllamaGenerator("m", transport=playing(exchange)).stream(ASK, max_tokens=8))


def test_a_server_that_is_down_is_said_in_one_line() -> None:
    with pytest.raises(GeneratorDown, match="ollama serve"):
        list(OllamaGenerator("m", host="http://127.0.0.1:9").stream(ASK, max_tokens=8))


def _line(i: int) -> bytes:
    return json.dumps({"message": {"role": "assistant", "content": f"w{i} "}, "done": False}).encode() + b"\n"


@pytest.mark.parametrize("prefill", [0.0, 20.0], ids=["while it writes", "while it reads the prompt"])
def test_cancelling_closes_the_connection_within_two_seconds(prefill: float) -> None:
    cancel = Event()
    with slow_server("/api/chat", _line, prefill) as (url, left):
        Timer(0.8, cancel.set).start()
        started = time.monotonic()
        _, end = text_and_end(OllamaGenerator("m", host=url).stream(ASK, max_tokens=300, cancel=cancel))
        assert end.finish_reason == "cancelled"
        assert left.wait(2) and time.monotonic() - started < 2.8


def test_closing_the_iterator_closes_the_connection() -> None:
    with slow_server("/api/chat", _line, 0.0) as (url, left):
        stream = OllamaGenerator("m", host=url).stream(ASK, max_tokens=300)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert left.wait(2)


def test_silence_beyond_the_time_allowed_is_an_error() -> None:
    with slow_server("/api/chat", _line, 20.0) as (url, _), pytest.raises(GeneratorTimeout, match="m"):
        list(OllamaGenerator("m", host=url, timeout=0.5).stream(ASK, max_tokens=8))


def test_check_names_a_missing_template_a_missing_model_and_a_dead_server() -> None:
    bare = recorded("show") | {"response": recorded("show")["response"] | {}}
    body = dict(bare["response"]["body"]) | {"template": "{{ .Prompt }}"}
    bare["response"] = bare["response"] | {"body": body}
    assert "template" in OllamaGenerator("m", transport=playing(bare)).check()[0]
    assert OllamaGenerator("qwen05", transport=playing(recorded("show"))).check() == []
    assert "ollama pull nope" in OllamaGenerator("nope", transport=playing(recorded("show: model missing"))).check()[0]
    assert "ollama serve" in OllamaGenerator("m", host="http://127.0.0.1:9").check()[0]


def test_models_are_listed_newest_first() -> None:
    assert OllamaGenerator("", transport=playing(recorded("tags"))).models() == ["qwen05:latest", "smol:latest"]


def test_a_pull_that_fails_inside_its_stream_is_an_error() -> None:
    with pytest.raises(GeneratorFailed, match="no such host"):
        OllamaGenerator("qwen2.5:0.5b", transport=playing(recorded("pull without internet"))).pull()
