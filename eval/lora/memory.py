"""Memory that training will take, before it starts, and what would fit when it does not. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rag.errors import RagError

GIB = 1024**3


class TrainingTooLarge(RagError):
    """The training does not fit in memory."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the memory of a training run."""

    parameters: int
    hidden: int
    layers: int
    intermediate: int
    vocabulary: int
    rank: int
    batch: int  # sequences at once
    length: int  # tokens of the longest sequence
    weight_bytes: float = 2.0  # of one frozen weight: 2 in bfloat16, 4 in float32, 0.55 in 4 bits
    checkpointing: bool = False


def estimate(shape: Shape) -> int:
    """Bytes: frozen weights + adapter (float32, gradient, two moments) + activations + logits of the learned positions.

    Activations a token and layer: about 18 hidden-sized and 4 intermediate-sized values kept for the backward pass; with
    checkpointing one hidden-sized value a layer, and one layer's worth at a time.
    """
    weights = shape.parameters * shape.weight_bytes
    adapter = 16 * shape.layers * shape.rank * (8 * shape.hidden + 3 * (shape.hidden + shape.intermediate))
    value = 2 if shape.weight_bytes <= 2 else 4
    token = (18 * shape.hidden + 4 * shape.intermediate) * value
    tokens = shape.batch * shape.length
    kept = shape.layers * shape.hidden * value + token if shape.checkpointing else shape.layers * token
    logits = tokens // 2 * shape.vocabulary * (value + 4)
    return int((weights + adapter + tokens * kept + logits) * 1.1) + GIB // 2


def refuse_unless_fits(shape: Shape, available: int) -> int:
    """The estimate in bytes. Raises TrainingTooLarge, naming what would fit, when it is more than `available`."""
    need = estimate(shape)
    if need <= available:
        return need
    raise TrainingTooLarge(
        f"training needs about {need / GIB:.1f} GB and {available / GIB:.1f} GB are free; {_what_fits(shape, available)}"
    )


def _what_fits(shape: Shape, available: int) -> str:
    """The mildest change that fits, in words."""
    changes = (
        ("--checkpointing fits", replace(shape, checkpointing=True)),
        ("--batch 1 fits", replace(shape, batch=1)),
        ("--batch 1 --checkpointing fits", replace(shape, batch=1, checkpointing=True)),
        ("--batch 1 --checkpointing --max-length 256 fits", replace(shape, batch=1, checkpointing=True, length=256)),
    )
    for words, changed in changes:
        if estimate(changed) <= available:
            return words
    return "take a smaller base, e.g. --base smollm2-135m-instruct"
