"""Training state on disk, whole or not at all: adapter weights, optimizer moments and counters, all as safetensors and JSON."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import RagError, UsageError

if TYPE_CHECKING:
    import torch

KEPT = 2  # newest checkpoints that stay


@dataclass
class Progress:
    """Where a training stands. The only mutable record here: it is the state that a checkpoint saves."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # of every step, mean over its learned tokens
    validation: list[tuple[int, float]] = field(default_factory=list)  # (step, loss)
    tokens: int = 0  # read, prompts included
    seconds: float = 0.0
    processor: list[float] = field(
        default_factory=list
    )  # seconds of processor time, all threads together, of every step
    stopped: str = ""  # why it ended: "", "steps", "early"


def save(
    out: Path,
    progress: Progress,
    identity: dict[str, Any],
    weights: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> Path:
    """Writes checkpoint-N under `out` and drops older ones. `weights` are the trained tensors by name, in the optimizer's
    order. The folder appears complete: it is written beside and renamed."""
    from safetensors.torch import save_file

    final = out / f"checkpoint-{progress.step}"
    partial = out / f".checkpoint-{progress.step}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, partial / "weights.safetensors")
    moments: dict[str, torch.Tensor] = {}
    for name, parameter in weights.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            moments[f"{name}|{key}"] = value.detach().cpu().contiguous().clone()
    save_file(moments, partial / "optimizer.safetensors")
    (partial / "state.json").write_text(
        json.dumps({"identity": identity, "progress": asdict(progress)}), encoding="utf-8"
    )
    shutil.rmtree(final, ignore_errors=True)
    partial.replace(final)
    for old in _all(out)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def latest(out: Path) -> Path | None:
    """The newest checkpoint under `out`."""
    found = _all(out)
    return found[-1] if found else None


def load(
    folder: Path, identity: dict[str, Any], weights: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer
) -> Progress:
    """Puts a checkpoint's weights and moments in place and gives its progress.

    Raises UsageError when it belongs to another training (names the first difference), RagError when it is damaged.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        saved = load_file(folder / "weights.safetensors")
        moments = load_file(folder / "optimizer.safetensors")
    except (OSError, ValueError, SafetensorError) as e:
        raise RagError(f"{folder}: this checkpoint cannot be read ({e}); remove it and train again") from e
    for key, value in identity.items():
        if state["identity"].get(key) != value:
            raise UsageError(
                f"{folder.parent}: it holds a training with {key} = {state['identity'].get(key)!r}, not {value!r}; "
                "use another --out, or --restart"
            )
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(saved[name])
    for name, parameter in weights.items():
        mine = {key.partition("|")[2]: value for key, value in moments.items() if key.startswith(f"{name}|")}
        if mine:
            optimizer.state[parameter] = {
                key: value.clone() if key == "step" else value.to(parameter.device) for key, value in mine.items()
            }
    p = state["progress"]
    p["validation"] = [(step, loss) for step, loss in p["validation"]]
    return Progress(**p)


def _all(out: Path) -> list[Path]:
    return sorted(out.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
