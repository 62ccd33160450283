"""An exported model in Ollama: from the merged GGUF, because its server refuses PEFT adapters on Qwen2 bases."""

from __future__ import annotations

import re

from eval.lora.exported import Export
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
