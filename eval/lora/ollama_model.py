"""An exported model in Ollama: from the merged GGUF, because its server refuses PEFT adapters on Qwen2 bases."""

from __future__ import annotations

import re

import httpx

from eval.lora.exported import Export
from eval.lora.parity import template_messages
from rag.errors import GeneratorDown, ModelMissing
from rag.settings import Settings

_TEMPLATE = re.compile(r'TEMPLATE """(.*?)"""', re.DOTALL)
_STOP = re.compile(r'PARAMETER stop "(.*?)"')


def create(name: str, export: Export, settings: Settings) -> None:
    """Creates the model `name`, with the template and stop tokens of the Modelfile. Raises a GeneratorFailed subclass."""
    from rag.generation.ollama_chat import OllamaGenerator

    text = (export.folder / "Modelfile").read_text(encoding="utf-8")
    match = _TEMPLATE.search(text)
    template = match[1] if match else ""
    generator = OllamaGenerator(name, timeout=settings.generator_timeout)
    try:
        generator.create(export.model, template=template, stop=_STOP.findall(text))
    finally:
        generator.close()


def check_template(name: str, export: Export, host: str) -> str:
    """ "" when the Ollama model `name` renders chats byte for byte as the adapter was trained, else the cause. The server is asked
    to render only, which version 0.24 does for a request with `_debug_render_only`.

    Raises GeneratorDown and ModelMissing.
    """
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # The framework's own way to read chat templates.
    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(export.chat_template)
    for messages in template_messages():
        theirs = _rendered(name, messages, host)
        if theirs is None:
            return f"chat template: the server at {host} does not tell how it renders {name}, so it cannot be compared"
        ours = template.render(messages=messages, add_generation_prompt=True)
        if theirs != ours:
            return f"chat template: Ollama renders {theirs[:80]!r} where training rendered {ours[:80]!r}"
    return ""


def _rendered(name: str, messages: list[dict[str, str]], host: str) -> str | None:
    """The prompt that the server would give its model; None when it does not say."""
    body = {
        "model": name,
        "messages": messages,
        "stream": False,
        "_debug_render_only": True,
        "options": {"num_predict": 1},
    }
    try:
        response = httpx.post(f"{host}/api/chat", json=body, timeout=120)
    except httpx.HTTPError as e:
        raise GeneratorDown(f"Ollama at {host}: {e}; start it with `ollama serve` or set OLLAMA_HOST") from e
    if response.status_code == 404:
        raise ModelMissing(f"{name}: Ollama does not have it; make it with `rag tune export --ollama {name}`")
    found = response.json().get("_debug_info") or {}
    text = found.get("rendered_template")
    return text if isinstance(text, str) else None


def host_of(address: str) -> str:
    """OLLAMA_HOST, as its client reads it, as a base address."""
    address = address.strip() or "127.0.0.1:11434"
    if "://" not in address:
        address = f"http://{address}"
    return address.rstrip("/") if address.count(":") > 1 else f"{address.rstrip('/')}:11434"
