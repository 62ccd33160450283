"""Embedders and cross-encoders through sentence-transformers: any model by name or folder, GPUs, bfloat16 on processors that
have it. Its home, with torch. Nothing here is imported before a model asks for it: torch takes seconds to import.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelUnavailable
from rag.models.batching import batches
from rag.models.cache import ensure
from rag.models.catalog import CATALOG, Encoder
from rag.models.hashing import sha256_of
from rag.protocols import TokenVectors, Vectors
from rag.settings import Settings

INSTALL = "install it with: pip install 'ragbase[torch]'"
BATCH_TOKENS = 4096
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


class SentenceTransformersEmbedder:
    """An Embedder on torch. `dtype` is "float32" or "bfloat16"; vectors come back as float32 unit rows in either case."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        encoder: Encoder | None = None,
        identity: Mapping[str, Any] | None = None,
        dtype: str = "float32",
        threads: int = 0,
    ) -> None:
        torch = import_torch(f"model {name}")
        from sentence_transformers import SentenceTransformer

        if threads:
            torch.set_num_threads(threads)
        self._model = _quietly(
            lambda: SentenceTransformer(
                str(folder),
                device=device(),
                local_files_only=True,
                model_kwargs={"dtype": getattr(torch, dtype), **_no_pooler(folder)},
            ),
            name,
            folder,
        )
        self.name = name
        self.dtype = dtype
        self.dim = int(self._model.get_embedding_dimension() or 0)
        self.max_tokens = int(self._model.max_seq_length or 512)
        prompts = self._model.prompts or {}
        self._question = encoder.question if encoder else prompts.get("query", "")
        self._passage = encoder.passage if encoder else prompts.get("document", prompts.get("passage", ""))
        self._special = frozenset(self._model.tokenizer.all_special_ids)
        self._lock = Lock()  # torch models are not told to be safe for threads, and more of them would not be faster
        self.identity: Mapping[str, Any] = identity or {
            "model": name,
            "weights": weights_sha256(folder),
            "dim": self.dim,
            "pooling": "as its folder says",
            "question": self._question,
            "passage": self._passage,
            "max_tokens": self.max_tokens,
        }

    def embed_passages(self, texts: Sequence[str], tokens: TokenVectors | None = None) -> Vectors:
        """(n, dim) float32 unit rows, in the order of `texts`; `tokens` is told the token vectors of each as they are made."""
        full = [self._passage + t for t in texts]
        if tokens is None:
            return self._embed(full)
        out = np.zeros((len(full), self.dim), np.float32)
        for row, vector, of_tokens in self._read(full, self._passage):
            out[row] = vector
            tokens(row, of_tokens)
        return _unit(out)

    def embed_question(self, text: str) -> Vectors:
        """(dim,) float32 unit vector."""
        return self._embed([self._question + text])[0]

    def token_vectors(self, texts: Sequence[str], *, question: bool = False) -> list[Vectors]:
        """One (tokens, dim) float32 array of unit rows per text; special tokens and the model's prompt are read and left out."""
        prompt = self._question if question else self._passage
        out: list[Vectors] = [np.zeros((0, self.dim), np.float32)] * len(texts)
        for row, _, of_tokens in self._read([prompt + t for t in texts], prompt):
            out[row] = of_tokens
        return out

    def _read(self, full: Sequence[str], prompt: str) -> Iterator[tuple[int, Vectors, Vectors]]:
        """Place, vector and token vectors of each text that begins with `prompt`, from one reading; batches of like length first."""
        ids = self._ids(full)
        with_it, without = self._ids([f"{prompt}a", "a"])
        for rows in batches([len(i) for i in ids], BATCH_TOKENS):
            with self._lock:
                found = self._model.encode(
                    [full[r] for r in rows], batch_size=len(rows), output_value=None, show_progress_bar=False
                )
            for row, of in zip(rows, found, strict=True):
                states = of["token_embeddings"][of["attention_mask"].bool()].float().cpu().numpy()
                own = states[[t not in self._special for t in ids[row]]][len(with_it) - len(without) :]
                yield row, of["sentence_embedding"].float().cpu().numpy(), _unit(own)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        found = self._model.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        return [list(i) for i in found]

    def _embed(self, texts: Sequence[str]) -> Vectors:
        out = np.zeros((len(texts), self.dim), np.float32)
        if not texts:
            return out
        for rows in batches([len(i) for i in self._ids(texts)], BATCH_TOKENS):
            with self._lock:
                found = self._model.encode(
                    [texts[r] for r in rows], batch_size=len(rows), convert_to_tensor=True, show_progress_bar=False
                )
            out[rows] = _unit(found.float().cpu().numpy())
        return out


class CrossEncoderScorer:
    """A cross-encoder: reads question and text together, and scores how well the text answers."""

    def __init__(self, name: str, folder: Path, *, threads: int = 0) -> None:
        torch = import_torch(f"model {name}")
        from sentence_transformers import CrossEncoder

        if threads:
            torch.set_num_threads(threads)
        self.name = name
        self._model = _quietly(
            lambda: CrossEncoder(str(folder), device=device(), local_files_only=True, max_length=512), name, folder
        )
        self._lock = Lock()

    def score(self, question: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n,) float32, higher is better, one per text in their order."""
        if not texts:
            return np.zeros(0, np.float32)
        with self._lock:
            found = self._model.predict([(question, t) for t in texts], batch_size=16, show_progress_bar=False)
        scores = np.asarray(found, np.float32)
        return scores if scores.ndim == 1 else scores[:, -1]  # two classes: the last is "relevant"


def load_st_embedder(name_or_folder: str, settings: Settings) -> SentenceTransformersEmbedder:
    """An embedder by hub name or folder. Raises ModelUnavailable naming what was tried."""
    folder = find_folder(name_or_folder, settings)
    name = Path(name_or_folder).name if Path(name_or_folder).is_dir() else name_or_folder
    return SentenceTransformersEmbedder(name, folder, threads=settings.threads)


def load_cross_encoder(name_or_folder: str, settings: Settings | None = None) -> CrossEncoderScorer:
    """A cross-encoder by catalog name, hub name or folder. Raises ModelUnavailable naming what was tried."""
    settings = settings or Settings.load()
    folder = find_folder(name_or_folder, settings)
    return CrossEncoderScorer(name_or_folder, folder, threads=settings.threads)


def find_folder(name_or_folder: str, settings: Settings) -> Path:
    """Where the model is: the folder itself, the cache, or fetched from the hub into the cache. Raises ModelUnavailable."""
    path = Path(name_or_folder).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists() and not (path / "modules.json").exists():
            raise ModelUnavailable(f"{path}: no model folder (it has neither config.json nor modules.json)")
        return path
    if path.is_absolute() or name_or_folder.startswith((".", "~")):
        raise ModelUnavailable(f"{path}: no such folder; give a model's folder, or a name from `rag models list`")
    if importlib.util.find_spec("sentence_transformers") is None and name_or_folder.lower() not in CATALOG:
        raise ModelUnavailable(f"model {name_or_folder}: needs sentence-transformers; {INSTALL}")
    return ensure(name_or_folder, settings.models, maven=settings.maven)


def installed() -> bool:
    """Whether torch and sentence-transformers can be imported; imports neither."""
    return all(importlib.util.find_spec(n) is not None for n in ("torch", "sentence_transformers"))


def import_torch(what: str) -> Any:
    """The module torch. Raises ModelUnavailable with the line that installs it."""
    if not installed():
        raise ModelUnavailable(f"{what}: needs torch and sentence-transformers; {INSTALL}")
    import torch

    return torch


def device() -> str:
    """ "cuda", "mps" or "cpu"."""
    torch = import_torch("choosing a device")
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def weights_sha256(folder: Path) -> str:
    """SHA-256 over the weight files of a folder, in the order of their names. Raises ModelUnavailable when there are none."""
    files = next((found for pattern in _WEIGHTS if (found := sorted(folder.rglob(pattern)))), [])
    if not files:
        raise ModelUnavailable(f"{folder}: no weights in it ({' or '.join(_WEIGHTS)}); copy the whole model folder")
    digests = [sha256_of(f) for f in files]
    if len(digests) == 1:
        return digests[0]
    import hashlib

    return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


def _no_pooler(folder: Path) -> Mapping[str, Any]:
    """Our own BERT folders carry no pooler, and nothing here uses one; without this transformers makes one up and warns."""
    import json

    config = folder / "config.json"
    kind = json.loads(config.read_text(encoding="utf-8")).get("model_type") if config.exists() else ""
    return {"add_pooling_layer": False} if kind in ("bert", "xlm-roberta", "roberta") else {}


def _quietly(load: Callable[[], Any], name: str, folder: Path) -> Any:
    """Loads without progress bars and notices. Raises ModelUnavailable for a folder that is no such model."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load()
    except (OSError, ValueError, KeyError, RuntimeError) as e:
        reason = " ".join(str(e).split())[:200]
        raise ModelUnavailable(
            f"model {name}: {folder} cannot be loaded ({reason}); copy the whole model folder again"
        ) from e
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _unit(rows: Vectors) -> Vectors:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
