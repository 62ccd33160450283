"""A collection with a toy embedder, and a folder of documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest.toy import ToyServices


@pytest.fixture
def services(tmp_path: Path) -> Iterator[ToyServices]:
    with ToyServices(tmp_path / "home") as made:
        yield made


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder
