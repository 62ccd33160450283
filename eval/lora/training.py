"""LoRA training (Hu et al. 2021) with transformers and PEFT: examples in, adapter folder out.

The loop is ours so that every run can be stopped at any step and goes on to the very same losses: the order of the batches is a
function of the seed, and a checkpoint holds the weights and both moments.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from tqdm import tqdm

from eval.lora import checkpoints
from eval.lora.base import LINEAR, Base, default_dtype, read_config, read_model, read_tokenizer, require_torch
from eval.lora.checkpoints import Progress
from eval.lora.encoding import IGNORED, Encoded, encode, order
from eval.lora.examples import Example
from eval.lora.memory import GIB, Shape, refuse_unless_fits
from rag.errors import UsageError

if TYPE_CHECKING:
    import torch
    from peft import PeftModel


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. Everything here but `checkpoint_every` decides the losses."""

    steps: int = 0  # optimizer steps; 0 = three times through the data
    rank: int = 8
    alpha: int = 16
    targets: tuple[str, ...] = LINEAR
    rslora: bool = False  # scale by alpha / sqrt(rank) (Kalajdzievski 2023) instead of alpha / rank
    rate: float = 5e-4
    warmup: float = 0.1  # share of the steps
    batch: int = 4  # sequences at once
    accumulate: int = 1  # batches a step
    max_length: int = 512  # tokens
    seed: int = 0
    checkpointing: bool = False
    qlora: bool = False
    patience: int = 3  # validations without a better loss that end the training; 0 = never
    validate_every: int = 0  # steps; 0 = a fifth of the training, at least 5
    checkpoint_every: int = 0  # steps; 0 = as validations

    def __post_init__(self) -> None:
        if min(self.rank, self.alpha, self.batch, self.accumulate) < 1 or self.steps < 0 or self.max_length < 16:
            raise UsageError(
                "rank, alpha, batch and accumulation are at least 1, the longest sequence at least 16 tokens"
            )


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training came to."""

    steps: int
    loss: float  # mean of the last five steps
    validation: float | None
    tokens: int
    seconds: float
    finished: bool


def train(
    base: Base,
    train_on: Sequence[Example],
    validate_on: Sequence[Example],
    recipe: Recipe,
    out: Path,
    *,
    facts: dict[str, Any],
    stop_after: int | None = None,
    threads: int = 0,
) -> Trained:
    """Trains and writes adapter_config.json, adapter_model.safetensors and training.json into `out`. A checkpoint of the same
    training that lies there is gone on with. `facts` go into training.json as they are; `stop_after` ends this run after so
    many steps, leaving a checkpoint.

    Raises TrainingTooLarge before anything is loaded that would not fit, UsageError for data or checkpoints that do not.
    """
    require_torch()
    import torch

    if not train_on:
        raise UsageError("there is no example to train on; make the data set with `rag tune dataset`")
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    tokenizer = read_tokenizer(base)
    data = encode(train_on, tokenizer, recipe.max_length)
    held = encode(validate_on, tokenizer, recipe.max_length)
    steps = recipe.steps or math.ceil(3 * len(data) / (recipe.batch * recipe.accumulate))
    dtype = default_dtype()
    memory = _check_memory(base, recipe, data, dtype)
    model = _with_adapter(base, recipe, dtype)
    weights = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(list(weights.values()), lr=recipe.rate, weight_decay=0.0)
    identity = json.loads(
        json.dumps(
            {**asdict(recipe), "checkpoint_every": 0, "steps": steps, "base": base.sha256, "data": _digest(data)}
        )
    )
    out.mkdir(parents=True, exist_ok=True)
    found = checkpoints.latest(out)
    progress = checkpoints.load(found, identity, dict(weights), optimizer) if found else Progress()
    if found:
        sys.stderr.write(f"going on from {found.name}\n")
    _run(model, optimizer, weights, data, held, recipe, steps, progress, out, identity, stop_after)
    finished = bool(progress.stopped)
    if finished:
        _write_adapter(model, out)
        about = {
            "base": base.name,
            "base_sha256": base.sha256,
            "recipe": asdict(recipe) | {"steps": steps},
            "dtype": str(dtype).removeprefix("torch."),
            "examples": {"train": len(train_on), "validation": len(validate_on)},
            "memory_estimate_bytes": memory,
            "progress": asdict(progress),
            "chat_template": tokenizer.chat_template,
            **facts,
        }
        (out / "training.json").write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")
    last = progress.losses[-5:]
    return Trained(
        progress.step,
        sum(last) / len(last) if last else math.nan,
        progress.validation[-1][1] if progress.validation else None,
        progress.tokens,
        progress.seconds,
        finished,
    )


def _run(
    model: PeftModel,
    optimizer: torch.optim.Optimizer,
    weights: dict[str, torch.nn.Parameter],
    data: Sequence[Encoded],
    held: Sequence[Encoded],
    recipe: Recipe,
    steps: int,
    progress: Progress,
    out: Path,
    identity: dict[str, Any],
    stop_after: int | None,
) -> None:
    """Steps from `progress.step` on, changing the model and `progress`."""
    import torch

    every = recipe.validate_every or max(5, steps // 5)
    save_every = recipe.checkpoint_every or every
    batches = order([len(e.ids) for e in data], recipe.batch, recipe.seed)
    for _ in range(progress.step * recipe.accumulate):
        next(batches)
    last = steps if stop_after is None else min(steps, progress.step + stop_after)
    parameters = list(weights.values())
    with tqdm(total=steps, initial=progress.step, desc="training", unit="step", file=sys.stderr, mininterval=1) as bar:
        while progress.step < last and not progress.stopped:
            started, busy = time.monotonic(), time.process_time()
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * _schedule(progress.step, steps, recipe.warmup)
            loss, read = _step(model, optimizer, [next(batches) for _ in range(recipe.accumulate)], data, parameters)
            progress.step += 1
            progress.losses.append(loss)
            progress.tokens += read
            progress.seconds += time.monotonic() - started
            progress.processor.append(time.process_time() - busy)
            bar.set_postfix(
                loss=f"{loss:.3f}", tokens_s=f"{progress.tokens / max(progress.seconds, 1e-9):.0f}", refresh=False
            )
            bar.update()
            if held and (progress.step % every == 0 or progress.step == steps):
                started = time.monotonic()
                with torch.no_grad():
                    progress.validation.append((progress.step, _loss_over(model, held, recipe.batch)))
                progress.seconds += time.monotonic() - started
                if recipe.patience and _no_better(progress.validation, recipe.patience):
                    progress.stopped = "early"
            if progress.step == steps and not progress.stopped:
                progress.stopped = "steps"
            if progress.step % save_every == 0 or progress.stopped or progress.step == last:
                checkpoints.save(out, progress, identity, dict(weights), optimizer)


def _step(
    model: PeftModel,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Sequence[int]],
    data: Sequence[Encoded],
    parameters: Sequence[torch.nn.Parameter],
) -> tuple[float, int]:
    """One optimizer step: (mean loss over the learned tokens, tokens read)."""
    import torch

    model.train()
    optimizer.zero_grad(set_to_none=True)
    learned = sum(sum(1 for y in data[i].labels[1:] if y != IGNORED) for b in batches for i in b)
    total, read = 0.0, 0
    for batch in batches:
        loss = _summed_loss(model, [data[i] for i in batch]) / max(1, learned)
        loss.backward()
        total += float(loss.detach())
        read += sum(len(data[i].ids) for i in batch)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    return total, read


def _summed_loss(model: PeftModel, examples: Sequence[Encoded]) -> torch.Tensor:
    """Cross entropy summed over the learned positions. Logits are made for those positions alone: with a vocabulary of 150,000
    they would otherwise be most of the memory and a third of the time."""
    import torch

    width = max(len(e.ids) for e in examples)
    device = next(model.parameters()).device
    ids = torch.tensor([[*e.ids, *[0] * (width - len(e.ids))] for e in examples], device=device)
    labels = torch.tensor([[*e.labels, *[IGNORED] * (width - len(e.ids))] for e in examples], device=device)
    seen = torch.tensor([[1] * len(e.ids) + [0] * (width - len(e.ids)) for e in examples], device=device)
    inner: Any = model.get_base_model()
    half = next(p for p in inner.parameters() if not p.requires_grad).dtype != torch.float32
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        hidden = inner.model(input_ids=ids, attention_mask=seen).last_hidden_state[:, :-1]
        wanted = labels[:, 1:]
        learned = wanted != IGNORED
        logits = inner.get_output_embeddings()(hidden[learned])
    return torch.nn.functional.cross_entropy(logits.float(), wanted[learned], reduction="sum")


def _loss_over(model: PeftModel, data: Sequence[Encoded], batch: int) -> float:
    """Mean loss over the learned tokens of all of `data`; call without gradients."""
    model.eval()
    longest_first = sorted(data, key=lambda e: -len(e.ids))
    total = sum(float(_summed_loss(model, longest_first[i : i + batch])) for i in range(0, len(longest_first), batch))
    return total / max(1, sum(sum(1 for y in e.labels[1:] if y != IGNORED) for e in data))


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up, then a cosine down to a tenth; factor of the rate for this step (from 0)."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return 0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2


def _no_better(validation: Sequence[tuple[int, float]], patience: int) -> bool:
    """Whether the last `patience` validations brought nothing."""
    if len(validation) <= patience:
        return False
    best_before = min(loss for _, loss in validation[:-patience])
    return all(loss >= best_before for _, loss in validation[-patience:])


def _with_adapter(base: Base, recipe: Recipe, dtype: torch.dtype) -> PeftModel:
    """The base with a fresh adapter: A random by the seed, B zero, so the first loss is the base's."""
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    model: Any = read_model(base, dtype, qlora=recipe.qlora)
    if recipe.qlora:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=recipe.checkpointing)
    elif recipe.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    torch.manual_seed(recipe.seed)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules=list(recipe.targets),
        use_rslora=recipe.rslora,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
        base_model_name_or_path=base.name,
    )
    try:
        return get_peft_model(model, config)
    except ValueError as e:
        raise UsageError(f"{base.name}: {e}") from e


def _check_memory(base: Base, recipe: Recipe, data: Sequence[Encoded], dtype: torch.dtype) -> int:
    """Estimated bytes; says so on stderr."""
    import torch

    config = read_config(base)
    h, n, f, v = config.hidden_size, config.num_hidden_layers, config.intermediate_size, config.vocab_size
    size = 0.55 if recipe.qlora else float(torch.finfo(dtype).bits // 8)
    shape = Shape(
        parameters=n * (4 * h * h + 3 * h * f) + v * h,
        hidden=h,
        layers=n,
        intermediate=f,
        vocabulary=v,
        rank=recipe.rank,
        batch=recipe.batch,
        length=max(len(e.ids) for e in data),
        weight_bytes=size,
        checkpointing=recipe.checkpointing,
    )
    available = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else psutil.virtual_memory().available
    need = refuse_unless_fits(shape, available)
    sys.stderr.write(f"training needs about {need / GIB:.1f} GB of memory, {available / GIB:.1f} GB are free\n")
    return need


def _write_adapter(model: PeftModel, out: Path) -> None:
    """The PEFT files, replaced as a whole."""
    partial = out / ".adapter.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(str(partial), save_embedding_layers=False)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (partial / name).replace(out / name)
    shutil.rmtree(partial, ignore_errors=True)


def _digest(data: Sequence[Encoded]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for e in itertools.chain(data):
        digest.update(repr((e.ids, e.labels)).encode())
    return digest.hexdigest()


def losses(out: Path) -> Iterator[tuple[int, float]]:
    """(step, loss) of a finished training."""
    about = json.loads((out / "training.json").read_text(encoding="utf-8"))
    yield from enumerate(about["progress"]["losses"], 1)
