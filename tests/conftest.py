"""What every test gets: a clean environment, a home of its own, and the real models of the shared cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag.settings import Settings

MODELS = Path(os.environ.get("RAG_MODELS") or Path.home() / ".cache/ragbase/models")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's shell reaches a test, except where the weights are."""
    for name in list(os.environ):
        if name.startswith("RAG_") or name == "OLLAMA_HOST":
            monkeypatch.delenv(name)
    monkeypatch.setenv("RAG_MODELS", str(MODELS))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    """Default settings in a home of their own."""
    return Settings.load({}, home=home, models=MODELS)


@pytest.fixture(scope="session")
def model() -> Iterator[Callable[[str], Path]]:
    """Fetches (verified) and gives the folder or file of a catalog model. Tests that use it are marked slow."""
    from rag.models.cache import ensure

    def fetch(name: str) -> Path:
        return ensure(name, MODELS)

    yield fetch
