"""`rag doctor` names what is wrong and exits with 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.cli import main


def test_a_generator_that_is_down_is_named_with_the_next_step(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_GENERATOR", "ollama:any")
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    assert main(["doctor", "--home", str(home), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert not said["ok"] and any("ollama serve" in p for p in said["problems"])


def test_a_generator_of_no_known_form_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_GENERATOR", "nonsense:x")
    assert main(["doctor", "--home", str(home)]) == 1
    assert "nonsense" in capsys.readouterr().out


def test_looking_creates_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_GENERATOR", "openai:http://127.0.0.1:9/v1#m")
    assert main(["doctor", "--home", str(home)]) == 1
    assert not home.exists() and "no server answers" in capsys.readouterr().out
