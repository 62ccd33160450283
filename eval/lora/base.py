"""The model that an adapter is trained on: a GGUF file of the cache, or a folder as the model hub has them.

Home of loading with `transformers`: a GGUF is dequantized to the framework's tensors, so training starts from the very weights that
are served. That takes a minute of processor time for the metadata alone (150,000 tokens, one by one), so it is done once: the
folder it becomes is kept in the cache of models, its weights in 16-bit floats (their rounding is a tenth of what serving rounds).
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelUnavailable, UsageError
from rag.models.hashing import sha256_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Base:
    """Where a base model is. `sha256` is of its weights: an adapter fits this base and no other."""

    name: str
    path: Path  # a .gguf file, or a folder
    sha256: str
    cache: Path  # where the framework's form of a GGUF is kept

    @property
    def is_gguf(self) -> bool:
        return self.path.suffix == ".gguf"


def find_base(name: str, models: Path) -> Base:
    """The base of this name: a catalog model (fetched when absent), a .gguf file or a folder with config.json.

    Raises ModelUnavailable, and UsageError for a path that is neither.
    """
    path, kept = Path(name).expanduser(), Path(models) / ".framework"
    if path.suffix == ".gguf" or path.is_dir():
        if not path.exists():
            raise UsageError(f"{path}: no such file; name a catalog model, a .gguf file or a folder with config.json")
        if path.is_dir() and not (path / "config.json").is_file():
            raise UsageError(f"{path}: no config.json in it, so this is no model folder")
        weights = path if path.is_file() else _weights(path)
        return Base(path.stem if path.is_file() else path.name, path.absolute(), sha256_of(weights), kept)
    from rag.models.cache import ensure
    from rag.models.catalog import find

    model = find(name)
    if model.role != "generator":
        raise UsageError(f"{name}: this is a {model.role}; an adapter is trained on a generator")
    file = ensure(name, models)
    return Base(name, file, sha256_of(file), kept)


def _weights(folder: Path) -> Path:
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise UsageError(f"{folder}: no *.safetensors in it, so there are no weights to train on")
    return found[0]


def framework_folder(base: Base) -> Path:
    """The base as a folder of the framework: its own, or what its GGUF file was converted to (now, when that was not done yet)."""
    if not base.is_gguf:
        return base.path
    require_torch()
    folder = base.cache / base.sha256[:16]
    if folder.is_dir():
        return folder
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    sys.stderr.write(f"{base.name}: reading the GGUF file for training, once\n")
    base.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base.cache) as partial, _quiet():
        whole = Path(partial) / "whole"
        where, file = str(base.path.parent), base.path.name
        AutoTokenizer.from_pretrained(where, gguf_file=file).save_pretrained(str(whole))
        model: Any = AutoModelForCausalLM.from_pretrained(where, gguf_file=file, dtype=torch.float16)
        _write_model(model, whole)
        # Another process may have been faster: then its folder stays and this one goes with the temporary one.
        if not folder.exists():
            whole.rename(folder)
    return folder


def _write_model(model: Any, folder: Path) -> None:
    """Weights and configuration as a plain folder. The framework itself refuses to save what it read from a GGUF, though the
    weights are no longer quantized."""
    from safetensors.torch import save_file

    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tied = model.config.tie_word_embeddings
    weights = {k: v.contiguous() for k, v in model.state_dict().items() if not (tied and k == "lm_head.weight")}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(str(folder))


def read_config(base: Base) -> Any:
    """The base's configuration: sizes and number of layers."""
    folder = framework_folder(base)
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(str(folder))


def read_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The base's tokenizer with its chat template."""
    folder = framework_folder(base)
    from transformers import AutoTokenizer

    with _quiet():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(folder))
    if not tokenizer.chat_template:
        raise UsageError(
            f"{base.name}: it has no chat template, so it is no chat model; take an instruct model as base"
        )
    return tokenizer


def read_model(base: Base, dtype: torch.dtype, *, qlora: bool = False) -> PreTrainedModel:
    """The base in `dtype`, frozen; in 4 bits on the GPU under `qlora`."""
    folder = framework_folder(base)
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with _quiet():
        model: Any
        if qlora:
            model = _read_4bit(folder, dtype)
        else:
            model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype)
            model.requires_grad_(False)
            model.to(device)
    model.name_or_path = base.name  # what an adapter's configuration names: the base, not a folder of this machine
    found: PreTrainedModel = model
    return found


def _read_4bit(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The base in 4-bit NormalFloat (Dettmers et al. 2023)."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise UsageError(
            "--qlora needs a GPU with CUDA, and there is none; leave it out to train LoRA on the processor"
        )
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    found: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        str(folder), quantization_config=config, device_map="cuda"
    )
    return found


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, str]], template: str | None = None) -> str:
    """The prompt text of chat messages, up to where the answer begins."""
    options: dict[str, Any] = {"chat_template": template} if template else {}
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True, **options)
    return str(text)


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that ends an answer."""
    end = tokenizer.convert_tokens_to_ids("<|im_end|>") if "<|im_end|>" in (tokenizer.chat_template or "") else None
    found = end if isinstance(end, int) and end >= 0 else tokenizer.eos_token_id
    if not isinstance(found, int):
        raise UsageError("the base's tokenizer has no end-of-sequence token; take another base")
    return found


def default_dtype() -> torch.dtype:
    """bfloat16 where the processor or GPU multiplies it in hardware (elsewhere it is slower than float32), else float32."""
    require_torch()
    import torch

    if torch.cuda.is_available():
        return torch.bfloat16
    return torch.bfloat16 if processor_has_bf16() else torch.float32


def processor_has_bf16() -> bool:
    """Whether this processor has AVX512-BF16 or AMX; False where the system does not tell."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def require_torch() -> None:
    """Raises ModelUnavailable when the extra that training needs is not installed. Call it before torch is imported: it also makes
    its threads wait without spinning. Beside other work on two cores, spinning made a training step of the smallest model take
    50 s instead of 5."""
    import importlib.util

    missing = [name for name in ("torch", "transformers", "peft") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelUnavailable(
            f"{', '.join(missing)}: not installed, and training needs it; run: pip install 'ragbase[torch]'"
        )
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")


class _quiet:
    """Loading bars and advice of the framework stay off the terminal: our own progress is there."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._level = logging.get_verbosity()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self._bars = _silence_bars()
        self._catch = warnings.catch_warnings()
        self._catch.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        self._catch.__exit__(None, None, None)
        _restore_bars(self._bars)
        logging.set_verbosity(self._level)


def _silence_bars() -> Any:
    """The reader of GGUF files draws its bar with tqdm itself, whatever the framework's setting; returns what was there."""
    from transformers import modeling_gguf_pytorch_utils

    reader: Any = modeling_gguf_pytorch_utils
    before = getattr(reader, "tqdm", None)
    if before is not None:
        reader.tqdm = lambda it=None, *_, **__: it
    return before


def _restore_bars(before: Any) -> None:
    from transformers import modeling_gguf_pytorch_utils

    reader: Any = modeling_gguf_pytorch_utils
    if before is not None:
        reader.tqdm = before
