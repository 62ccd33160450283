"""An exported model in Ollama, against a scripted server."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from eval.lora import ollama_model
from eval.lora.exported import Export
from eval.lora.ollama_model import check_template, host_of
from rag.errors import GeneratorDown, ModelMissing

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
EXPORT = Export(Path("x"), "base", "0", TEMPLATE, {})


def _serve(monkeypatch: pytest.MonkeyPatch, status: int = 200, *, suffix: str = "", debug: bool = True) -> None:
    """Answers every request as a server would that renders TEMPLATE, with `suffix` behind it."""

    def handle(request: httpx.Request) -> httpx.Response:
        messages = json.loads(request.content)["messages"]
        text = "".join(f"<{m['role']}>{m['content']}" for m in messages) + suffix
        return httpx.Response(status, json={"_debug_info": {"rendered_template": text}} if debug else {})

    client = httpx.Client(transport=httpx.MockTransport(handle))
    monkeypatch.setattr(ollama_model.httpx, "post", client.post)


def test_the_same_rendering_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch)
    assert check_template("m", EXPORT, "http://h:1") == ""


def test_one_more_character_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch, suffix="\n")
    assert check_template("m", EXPORT, "http://h:1").startswith("chat template: Ollama renders")


def test_a_server_that_does_not_tell_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch, debug=False)
    assert "cannot be compared" in check_template("m", EXPORT, "http://h:1")


def test_a_missing_model_and_a_server_that_is_down_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch, status=404)
    with pytest.raises(ModelMissing, match="rag tune export --ollama m"):
        check_template("m", EXPORT, "http://h:1")
    monkeypatch.undo()
    with pytest.raises(GeneratorDown, match="ollama serve"):
        check_template("m", EXPORT, "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("given", "host"),
    [("", "http://127.0.0.1:11434"), ("127.0.0.1:11435", "http://127.0.0.1:11435"), ("http://box", "http://box:11434"),
     ("https://box:8/", "https://box:8")],
)  # fmt: skip
def test_the_address_is_read_as_the_client_reads_it(given: str, host: str) -> None:
    assert host_of(given) == host
