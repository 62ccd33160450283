"""The setting `generator` to a Generator: `auto | embedded[:NAME|:/path.gguf] | ollama:MODEL | openai:URL#MODEL`."""

from __future__ import annotations

from pathlib import Path

from rag.errors import GeneratorFailed, UsageError
from rag.protocols import Generator
from rag.settings import Settings

DEFAULT_MODEL = "qwen2.5-coder-1.5b-instruct"
FORMS = "auto | embedded[:NAME or GGUF file] | ollama:MODEL | openai:BASE_URL#MODEL"


def open_generator(settings: Settings, name: str | None = None, *, lora: Path | None = None) -> Generator:
    """The generator that `name` (default: the settings') asks for; `lora` is a GGUF adapter for the embedded one.

    Nothing is loaded or asked yet, except that `auto` looks for an Ollama server. Raises UsageError for a name of another
    form, ModelUnavailable when weights are not here and cannot be had.
    """
    chosen = name or settings.generator
    kind, _, rest = chosen.partition(":")
    if kind == "auto":
        return _ollama_if_there(settings) or _embedded(settings, DEFAULT_MODEL, lora)
    if kind == "embedded":
        return _embedded(settings, rest or DEFAULT_MODEL, lora)
    if lora is not None:
        raise UsageError(f"{chosen}: an adapter file is served by the embedded generator only; use embedded:NAME")
    if kind == "ollama" and rest:
        from rag.generation.ollama_chat import OllamaGenerator

        return OllamaGenerator(rest, timeout=settings.generator_timeout)
    if kind == "openai" and "#" in rest:
        from rag.generation.openai_chat import OpenAIGenerator

        url, _, model = rest.rpartition("#")
        return OpenAIGenerator(url, model, key=settings.generator_key, timeout=settings.generator_timeout)
    raise UsageError(f"generator {chosen!r} is not one of {FORMS}")


def _embedded(settings: Settings, name: str, lora: Path | None) -> Generator:
    from rag.generation.embedded_chat import EmbeddedGenerator

    path = Path(name).expanduser()
    if path.suffix != ".gguf":
        from rag.models.cache import ensure

        path = ensure(name, Path(settings.models))
    if path.is_dir():
        path = next(iter(sorted(path.glob("*.gguf"))), path)
    return EmbeddedGenerator(
        path,
        path.stem.lower() if name.endswith(".gguf") else name,
        threads=settings.threads,
        parallel=settings.concurrency,
        lora=lora,
        timeout=settings.generator_timeout,
    )


def _ollama_if_there(settings: Settings) -> Generator | None:
    from rag.generation.ollama_chat import OllamaGenerator

    try:
        names = OllamaGenerator("auto").models()
    except GeneratorFailed:
        return None  # `auto` promises only to look; `rag doctor` says which one is used
    return OllamaGenerator(names[0], timeout=settings.generator_timeout) if names else None


def describe(settings: Settings, name: str | None = None) -> tuple[str, list[str]]:
    """Which generator the settings mean, in words, and its problems. Fetches and loads nothing."""
    chosen = name or settings.generator
    kind, _, rest = chosen.partition(":")
    if kind == "auto":
        found = _ollama_if_there(settings)
        if found is not None:
            return f"auto: ollama:{found.name}", found.check()
        kind, rest = "embedded", ""
    if kind == "embedded" and not rest.endswith(".gguf"):
        from rag.models.cache import present

        model = rest or DEFAULT_MODEL
        if present(model, Path(settings.models)) is None:
            return f"embedded:{model}, not fetched yet (`rag models pull {model}`; the first answer does it too)", []
    opened = open_generator(settings, chosen if kind != "embedded" else f"embedded:{rest or DEFAULT_MODEL}")
    try:
        return f"{kind}:{opened.name}", opened.check()
    finally:
        opened.close()
