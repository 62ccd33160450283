"""The house rules that code can check: imports point one way, and each third-party engine has one home."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("rag", "ingest", "api", "eval")
MAY_IMPORT = {
    "rag": {"rag"},
    "ingest": {"rag", "ingest"},
    "api": {"rag", "ingest", "api"},
    "eval": {"rag", "ingest", "eval"},
}

# Inside rag/, a module may import from its own layer and from those before it.
LAYERS = ("types", "errors", "settings", "protocols", "models", "index", "storage", "retrieval", "generation", "wiring")
FOUNDATION = {"types", "errors", "settings", "protocols"}
RIM = {"cli", "commands", "wire", "integrations"}  # they may import anything in rag

HOMES = {
    "faiss": {"rag/index/vector.py"},
    "xllamacpp": {"rag/generation/embedded_chat.py"},
    "ollama": {"rag/generation/ollama_chat.py"},
    "onnxruntime": {"rag/models/onnx_session.py"},
    "openvino": {"rag/models/openvino_session.py"},
    "pypdf": {"ingest/readers/pdf_pypdf.py"},
    "pypdfium2": {"ingest/readers/pdf.py", "ingest/page_picture.py"},
    "rapidocr_onnxruntime": {"ingest/ocr.py"},
    "rank_bm25": set(),  # the independent implementation that tests compare ours with
}
PREFIX_HOMES = {
    "langchain": {"rag/integrations/langchain.py", "ingest/chunking.py"},
    "langchain_core": {"rag/integrations/langchain.py"},
    "langchain_text_splitters": {"ingest/chunking.py", "eval/plain_chain.py"},
    "sentence_transformers": {"rag/retrieval/st_embedding.py"},
}


def modules() -> list[Path]:
    return [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Dotted names of every import in a file, lazy ones and type-only ones included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_packages_import_only_what_lies_below_them(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    used = {name.split(".")[0] for name in imported(path)} & {*PACKAGES, "tests"}
    assert used <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", [p for p in modules() if p.is_relative_to(ROOT / "rag")], ids=relative)
def test_layers_of_rag_import_downwards(path: Path) -> None:
    layer = path.relative_to(ROOT / "rag").parts[0].removesuffix(".py")
    if layer in RIM or layer == "__init__":
        return
    used = {name.split(".")[1] for name in imported(path) if name.startswith("rag.") and name.count(".") >= 1}
    assert not used & RIM, "the rim is imported by nobody inside"
    if layer in FOUNDATION:
        assert used <= FOUNDATION
    else:
        assert used <= set(LAYERS[: LAYERS.index(layer) + 1])


@pytest.mark.parametrize("engine", HOMES)
def test_an_engine_has_one_home(engine: str) -> None:
    users = {relative(p) for p in modules() if any(n.split(".")[0] == engine for n in imported(p))}
    assert users <= HOMES[engine]


@pytest.mark.parametrize("engine", PREFIX_HOMES)
def test_a_framework_stays_at_the_rim(engine: str) -> None:
    users = {relative(p) for p in modules() if any(n.split(".")[0] == engine for n in imported(p))}
    assert users <= PREFIX_HOMES[engine]


def test_nothing_is_pickled() -> None:
    for path in modules():
        names = {name.split(".")[0] for name in imported(path)}
        assert not names & {"pickle", "cPickle", "dill", "joblib", "shelve"}, relative(path)


def test_no_drawer_modules() -> None:
    drawers = {"utils", "util", "helpers", "common", "manager", "misc"}
    assert not [relative(p) for p in modules() if p.stem in drawers]
