"""A home and an empty collection for every test of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.storage.collection import Collection
from rag.storage.home import Home
from tests.rag.storage.stores import CARD


@pytest.fixture
def store_home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def collection(store_home: Home) -> Iterator[Collection]:
    made = store_home.create("default", CARD)
    yield made
    made.close()
