"""Fetched files to a finished embedder: a sentence-transformers folder plus our ONNX graph, checked with a stored vector.

    model.safetensors, config.json, tokenizer*.json, modules.json, 1_Pooling/...   what sentence-transformers and training read
    core.onnx                                                                       the same weights for onnxruntime

No torch is needed, and the conversion is lossless.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import BadWeights
from rag.models import unigram
from rag.models.bert_graph import GRAPH, WEIGHTS, write_graph
from rag.models.bert_weights import BertShape, State, from_e5, from_onnx
from rag.models.catalog import Encoder, Model

PROBE_COSINE = 0.9999


def convert(model: Model, folder: Path) -> None:
    """Turns the fetched files in `folder` into the finished ones. Raises BadWeights when the result does not embed the probe
    sentence as it should."""
    _CONVERTERS[model.converter](model, folder)
    if model.converter and model.encoder:
        _probe(model.name, model.encoder, folder)


def _nothing(model: Model, folder: Path) -> None:
    """The files are used as they come."""


def _bert_onnx(model: Model, folder: Path) -> None:
    raw = folder / "raw.onnx"
    state = from_onnx(raw)
    raw.unlink()
    _write_weights(state, folder)
    hidden = state["embeddings.LayerNorm.weight"].shape[0]
    shape = BertShape(heads=8 if hidden == 512 else hidden // 32)
    _write_folder(model, folder, state, shape)


def _e5(model: Model, folder: Path) -> None:
    raw = folder / "raw.bin"
    file = from_e5(raw)
    raw.unlink()
    _write_weights(file.state, folder)
    _unigram(file.pieces, file.unknown).save(str(folder / "tokenizer.json"), pretty=False)
    unigram.write_pieces(file.pieces, folder / unigram.FILE)
    _write_folder(model, folder, file.state, replace(file.shape, eps=1e-12))


def _bert_folder(model: Model, folder: Path) -> None:
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = BertShape(config["num_attention_heads"], config["layer_norm_eps"], config["max_position_embeddings"])
    _write_folder(model, folder, load_file(folder / WEIGHTS), shape)


_CONVERTERS: Mapping[str, Callable[[Model, Path], None]] = {
    "": _nothing,
    "bert-onnx": _bert_onnx,
    "bert-folder": _bert_folder,
    "e5": _e5,
}


def _write_weights(state: State, folder: Path) -> None:
    from safetensors.numpy import save_file

    save_file({name: state[name] for name in sorted(state)}, folder / WEIGHTS, metadata={"format": "pt"})


def _unigram(pieces: tuple[tuple[str, float], ...], unknown: int) -> Any:
    """The tokenizer of XLM-R's family: SentencePiece Unigram, `<s> text </s>`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(list(pieces), unk_id=unknown, byte_fallback=False))
    tokenizer.normalizer = unigram.normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    names = [piece for piece, _ in pieces]
    special = {s: names.index(s) for s in unigram.SPECIAL}
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", special["<s>"]), ("</s>", special["</s>"])],
    )
    return tokenizer


def _write_folder(model: Model, folder: Path, state: State, shape: BertShape) -> None:
    """The configuration files of a sentence-transformers folder, and the graph."""
    encoder = model.encoder
    assert encoder is not None
    words, hidden = state["embeddings.word_embeddings.weight"].shape
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    special = [t["content"] for t in tokenizer["added_tokens"] if t["special"]]
    roles = (
        {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
        if "<s>" in special
        else {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    )
    marks = ("<pad>", "<unk>", "<mask>") if "<s>" in special else ("[PAD]", "[UNK]", "[MASK]")
    roles |= dict(zip(("pad_token", "unk_token", "mask_token"), marks, strict=True))
    pad = next(t["id"] for t in tokenizer["added_tokens"] if t["content"] == marks[0])
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": hidden,
        "intermediate_size": state["encoder.layer.0.intermediate.dense.weight"].shape[0],
        "num_hidden_layers": len({n.split(".")[2] for n in state if n.startswith("encoder.layer.")}),
        "num_attention_heads": shape.heads,
        "layer_norm_eps": shape.eps,
        "max_position_embeddings": state["embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": state["embeddings.token_type_embeddings.weight"].shape[0],
        "vocab_size": words,
        "pad_token_id": pad,
        "attention_probs_dropout_prob": 0.1,
        "hidden_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "torch_dtype": "float32",
    }
    modules = [("", "models.Transformer"), ("1_Pooling", "models.Pooling"), ("2_Normalize", "models.Normalize")]
    written: dict[str, Any] = {
        "config.json": config,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": encoder.max_tokens,
            **roles,
        },
        "special_tokens_map.json": roles,
        "sentence_bert_config.json": {"max_seq_length": encoder.max_tokens, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": encoder.question, "document": encoder.passage},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.{kind}"}
            for i, (path, kind) in enumerate(modules)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": hidden,
            "pooling_mode_cls_token": encoder.pooling == "cls",
            "pooling_mode_mean_tokens": encoder.pooling == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    }
    for name, value in written.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        # Removed first: a file that was fetched is a hard link to the verified part, which stays as it is.
        path.unlink(missing_ok=True)
        path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    write_graph(folder, shape)


def probes() -> Mapping[str, Mapping[str, str]]:
    """model -> {"text", "vector"}: a sentence and the unit vector, float16 in base64, that an independent engine gave it."""
    return json.loads((files("rag.models") / "probes.json").read_text(encoding="utf-8"))


def _probe(name: str, encoder: Encoder, folder: Path) -> None:
    from rag.models.bert_engine import BertEngine

    probe = probes().get(name)
    if probe is None:
        return
    expected = np.frombuffer(base64.b64decode(probe["vector"]), np.float16).astype(np.float32)
    found = BertEngine(folder, encoder.pooling, encoder.max_tokens, threads=1).embed([encoder.passage + probe["text"]])[
        0
    ]
    cosine = float(found @ expected / np.linalg.norm(expected))
    if cosine < PROBE_COSINE:
        raise BadWeights(
            f"model {name}: after conversion its probe sentence has cosine {cosine:.5f} with the stored vector, below "
            f"{PROBE_COSINE}; nothing was kept, please report it ({GRAPH})"
        )
