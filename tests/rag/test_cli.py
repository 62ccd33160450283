"""The command line: exit codes, one-line errors, and a start that loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rag.cli import main, parser


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for command in (
        "ingest",
        "search",
        "ask",
        "chat",
        "documents",
        "serve",
        "keys",
        "eval",
        "tune",
        "models",
        "doctor",
    ):
        assert command in shown


def test_an_unknown_command_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["nonsense"])
    assert stop.value.code == 2


def test_a_missing_collection_is_one_line_and_exit_1(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "anything", "--home", str(home)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.strip().splitlines()) == 1
    assert "rag ingest" in shown.err, "the message names the next step"
    assert not home.exists(), "looking creates nothing"


@pytest.mark.parametrize("arguments", [["search", "x", "-k", "0"], ["search", "   "], ["ask", "   "]])
def test_wrong_arguments_are_wrong_usage(arguments: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--home", str(home)]) in (1, 2)
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_building_the_command_line_imports_nothing_heavy() -> None:
    heavy = [
        "faiss",
        "onnxruntime",
        "torch",
        "transformers",
        "xllamacpp",
        "fastapi",
        "ollama",
        "jieba",
        "scipy",
        "numpy",
        "sqlite3",
        "langchain_core",
    ]
    code = f"import sys; from rag.cli import parser; parser(); print([m for m in {heavy!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    commands = next(a for a in parser()._actions if a.dest == "command")
    assert isinstance(commands.choices, dict)
    for name in commands.choices:
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        assert len(capsys.readouterr().out) > 100, name
