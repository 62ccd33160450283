"""A Modelfile for Ollama: FROM, TEMPLATE and stop tokens. Pure text.

A model made from a bare GGUF can get the template `{{ .Prompt }}`, and then rambles to the end of its context; so the template is
always written out, in Ollama's own language, and only where we know that it renders what the model was trained with.
"""

from __future__ import annotations

import re

from rag.errors import UsageError

_DEFAULT_SYSTEM = re.compile(r"<\|im_start\|>system\\?n?\s*([^<{}'\"]+?)<\|im_end\|>")


def modelfile(chat_template: str, gguf: str = "./model.gguf") -> str:
    """The Modelfile for a model with this chat template (Jinja). Raises UsageError for a template that is not ChatML."""
    if "<|im_start|>" not in chat_template or "<|im_end|>" not in chat_template:
        raise UsageError(
            "the model's chat template is not ChatML, and no other has an Ollama TEMPLATE here; serve the GGUF itself"
        )
    default = default_system(chat_template)
    otherwise = f"{{{{ else }}}}<|im_start|>system\n{default}<|im_end|>\n" if default else ""
    template = (
        '{{- $system := false }}{{- range .Messages }}{{- if eq .Role "system" }}{{- $system = true }}{{- end }}{{- end }}'
        f"{{{{- if $system }}}}{otherwise}{{{{ end }}}}"
        if default
        else ""
    )
    body = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
    stops = "\n".join(f'PARAMETER stop "{s}"' for s in ("<|im_end|>", "<|im_start|>", "<|endoftext|>"))
    return f'FROM {gguf}\nTEMPLATE """{template}{body}"""\n{stops}\nPARAMETER temperature 0\n'


def default_system(chat_template: str) -> str:
    """The system message that the template puts in when the messages have none; "" when it puts in none."""
    if "!= 'system'" not in chat_template and "else" not in chat_template:
        return ""
    found = [m.strip() for m in _DEFAULT_SYSTEM.findall(chat_template) if m.strip()]
    return found[-1] if found else ""
