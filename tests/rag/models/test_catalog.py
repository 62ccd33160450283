"""The catalog is consistent, and a wrong name is answered with near ones."""

import pytest

from rag.errors import ModelUnavailable
from rag.models.catalog import CATALOG, Model, find


@pytest.mark.parametrize("model", CATALOG.values(), ids=lambda m: m.name)
def test_parts_add_up_to_the_files(model: Model) -> None:
    finished = {f.path: f.bytes for f in model.files}
    for source in model.sources:
        made: dict[str, int] = {}
        for part in source.parts:
            made[part.target] = made.get(part.target, 0) + part.bytes
        assert all(finished[t] == n for t, n in made.items() if t in finished)


@pytest.mark.parametrize("model", CATALOG.values(), ids=lambda m: m.name)
def test_every_hash_is_a_sha256_and_every_model_has_a_licence(model: Model) -> None:
    hashes = [f.sha256 for f in model.files] + [p.sha256 for s in model.sources for p in s.parts]
    assert all(len(h) == 64 and int(h, 16) >= 0 for h in hashes)
    assert model.licence


def test_packages_are_pinned_to_a_version() -> None:
    wheels = [p for m in CATALOG.values() for s in m.sources if s.kind == "wheel" for p in s.parts]
    assert all("==" in p.container for p in wheels)
    jars = [p for m in CATALOG.values() for s in m.sources if s.kind == "maven" for p in s.parts]
    assert all(p.container.count(":") == 2 for p in jars)


def test_a_name_is_found_by_case_and_by_hub_name() -> None:
    assert find("BGE-M3").name == find("baai/bge-m3").name == "bge-m3"


def test_a_wrong_name_is_answered_with_near_ones() -> None:
    with pytest.raises(ModelUnavailable, match=r"bge-smal-zh: not in the catalog; did you mean bge-small-zh-v1\.5"):
        find("bge-smal-zh")


def test_an_unknown_repository_is_one_of_the_hub() -> None:
    assert find("some/model").hub == "some/model"
    assert "/" not in find("some/model").name
