"""Text with the token statistics of natural language, and vectors with the shape of embeddings, in any amount, from a seed.

Words follow Zipf-Mandelbrot (p of rank r proportional to 1 / (r + 2.7), Mandelbrot 1953) over 300,000 words. Half of a chunk's words come
from its topic, so words cluster in chunks as they do in texts. Vectors are clusters around topics with a decaying spectrum.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

WORDS = 300_000
TOPICS = 2_000
TOPIC_WORDS = 400
REPEAT = 100_000
LENGTH = 110  # words of a chunk, on average


class Texts:
    """Chunks of words by number; the same number gives the same chunk."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        ranks = np.arange(WORDS)
        share = 1.0 / (ranks + 2.7)
        self._cumulative = np.cumsum(share / share.sum())
        letters = "etaoinshrdlucmfwypvbgkjqxz"
        self.words = np.array([_word(int(r), letters) for r in ranks])
        self._topic_words = rng.integers(200, WORDS, size=(TOPICS, TOPIC_WORDS))
        self._seed = seed
        self._made: dict[int, str] = {}

    def chunk(self, number: int) -> str:
        """About 110 words; they repeat every 100,000 chunks."""
        number %= REPEAT
        if number in self._made:
            return self._made[number]
        self._made[number] = self._chunk(number)
        return self._made[number]

    def _chunk(self, number: int) -> str:
        rng = np.random.default_rng((self._seed, number))
        length = int(np.clip(rng.lognormal(np.log(LENGTH) - 0.08, 0.4), 20, 400))
        common = np.searchsorted(self._cumulative, rng.random(length))
        topic = self._topic_words[number % TOPICS]
        own = topic[np.minimum((rng.pareto(1.0, length) * 12).astype(int), TOPIC_WORDS - 1)]
        return " ".join(self.words[np.where(rng.random(length) < 0.5, common, own)])

    def questions(self, count: int, chunks: int, seed: int = 1) -> list[str]:
        """3 to 10 words each, taken from a chunk: common and rare ones as they fall."""
        rng = np.random.default_rng(seed)
        found = []
        for number in rng.integers(0, chunks, count):
            words = self.chunk(int(number)).split()
            found.append(" ".join(rng.choice(words, size=min(len(words), int(rng.integers(3, 11))), replace=False)))
        return found


def vectors(chunks: int, dim: int = 384, seed: int = 0, block: int = 50_000) -> Iterator[np.ndarray]:
    """Blocks of (n, dim) float32 unit rows, `chunks` in all."""
    rng = np.random.default_rng(seed)
    spectrum = (1.0 / np.sqrt(1 + np.arange(dim))).astype(np.float32)
    centres = rng.standard_normal((TOPICS, dim), np.float32) * spectrum
    for start in range(0, chunks, block):
        numbers = np.arange(start, min(start + block, chunks))
        rows = centres[numbers % TOPICS] + 0.8 * rng.standard_normal((len(numbers), dim), np.float32) * spectrum
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _word(rank: int, letters: str) -> str:
    """Short for the common, longer for the rare, pronounceable for nobody."""
    word = ""
    number = rank + 26
    while number:
        number, digit = divmod(number, 26)
        word += letters[digit]
    return word + "q"  # no English word, so that stemming and stop lists play no part
