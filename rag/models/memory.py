"""What a language model needs of a machine: memory, and how fast it can be at best. Pure arithmetic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from rag.errors import UsageError
from rag.models.catalog import Decoder

OVERHEAD = 1.2  # working memory on top of the weights
CACHE_BYTES = 2  # a key or value is a 16-bit float
RESERVED_GB = 1.0  # left to the rest of the system
SPEED_CLASSES = ((10.0, "<10"), (20.0, "10-20"), (50.0, "20-50"), (100.0, "50-100"))

# Bytes of key-value cache a token, by parameters: of open models with grouped heads (Qwen2.5 0.5B, 1.5B; Llama 3 8B; Qwen2.5
# 14B, 32B; Llama 3 70B), at 16 bits. Between them a straight line in the parameters.
_CACHE_A_TOKEN = (
    (0.0, 0.0),
    (0.5e9, 12_288),
    (1.5e9, 28_672),
    (8e9, 131_072),
    (14e9, 196_608),
    (32e9, 262_144),
    (70e9, 327_680),
)


@dataclass(frozen=True, slots=True)
class Need:
    """What a model takes, in decimal gigabytes, and what that means on a machine."""

    weights_gb: float  # P x 4 bytes x 1.2 / (32 / bits)
    context_gb: float  # key-value cache of the context
    memory_gb: float  # of the machine
    fits: bool
    tokens_per_second: float  # at best: the whole model is read from memory once for every token

    @property
    def speed_class(self) -> str:
        """ "<10", "10-20", "20-50", "50-100" or ">100" tokens a second."""
        return next((name for limit, name in SPEED_CLASSES if self.tokens_per_second < limit), ">100")


def weights_gb(parameters: float, bits: float) -> float:
    """M = P x 4 bytes x 1.2 / (32 / bits), in GB: 7B at 4 bits takes 4.2."""
    return parameters * 4 * OVERHEAD / (32 / bits) / 1e9


def cache_bytes(parameters: float, decoder: Decoder | None = None) -> float:
    """Bytes of key-value cache of one token: exact for a known network, else estimated from its size."""
    if decoder is not None:
        return 2 * CACHE_BYTES * decoder.layers * decoder.kv_heads * decoder.head_dim
    for (p0, b0), (p1, b1) in pairwise(_CACHE_A_TOKEN):
        if parameters <= p1:
            return b0 + (b1 - b0) * (parameters - p0) / (p1 - p0)
    return _CACHE_A_TOKEN[-1][1] * parameters / _CACHE_A_TOKEN[-1][0]


def need(
    parameters: float, bits: float, context: int, *, memory_gb: float, bandwidth: float, decoder: Decoder | None = None
) -> Need:
    """What a model of `parameters` at `bits` a weight needs with `context` tokens, on a machine with `memory_gb` and a memory
    `bandwidth` in bytes a second. Raises UsageError for sizes that make no sense."""
    if parameters <= 0 or not 1 <= bits <= 32 or context < 0:
        raise UsageError("a model has more than 0 parameters, 1 to 32 bits a weight and a context of 0 tokens or more")
    weights = weights_gb(parameters, bits)
    cache = cache_bytes(parameters, decoder) * context / 1e9
    read = parameters * bits / 8 + cache_bytes(parameters, decoder) * context / 2
    return Need(
        round(weights, 3),
        round(cache, 3),
        round(memory_gb, 1),
        weights + cache + RESERVED_GB <= memory_gb,
        round(bandwidth / read, 1),
    )


def encoder_need(weights: float, layer_parameters: float, *, memory_gb: float, flops: float) -> Need:
    """The same for an embedder or cross-encoder of `weights` bytes (32-bit) on a processor that multiplies matrices at `flops`:
    it reads a whole batch at once, so that arithmetic is the limit, two operations a parameter and token."""
    gb = weights * OVERHEAD / 1e9
    return Need(
        round(gb, 3), 0.0, round(memory_gb, 1), gb + RESERVED_GB <= memory_gb, round(flops / (2 * layer_parameters), 1)
    )


def parse_parameters(text: str) -> float:
    """ "7B" -> 7e9, "135M", "1.5b", "500000000". Raises UsageError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmbt]?)\s*", text, re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{text!r} is not a number of parameters; write it as 7B, 1.5B or 135M")
    return float(match[1]) * {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}[match[2].lower()]
