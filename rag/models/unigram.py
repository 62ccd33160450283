"""A SentencePiece Unigram tokenizer that opens at once: for the few questions of a command line.

The `tokenizers` library reads 250,000 pieces into its own structures first (a second and 300 MB for multilingual-e5). Here the
pieces lie in a memory-mapped file, found by hash, and a short text is cut by the same algorithm in numpy and Python. A test
holds the two together, id by id. Longer texts and batches are the library's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.models.bert_graph import tensor_offsets

FILE = "pieces.safetensors"
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
SPACE = "▁"
UNKNOWN_PENALTY = 10.0  # below the worst piece, as in the library
_BASE = np.uint64(0x9E3779B97F4A7C15)
_DTYPES = {"U64": np.uint64, "I32": np.int32, "F64": np.float64, "U32": np.uint32}


def normalizer() -> Any:
    """SentencePiece's own table of replacements (nmt_nfkc) in three steps of the library."""
    from tokenizers import Regex, normalizers

    return normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])


def write_pieces(pieces: Sequence[tuple[str, float]], path: Path) -> None:
    """Writes the vocabulary, its ids being the positions, sorted by hash."""
    from safetensors.numpy import save_file

    ids = {piece: i for i, (piece, _) in enumerate(pieces)}  # of equal pieces the last counts, as in the library
    special = np.array([ids[s] for s in SPECIAL], np.int32)
    texts = [p for p in ids if p]
    lengths = np.array([len(p) for p in texts], np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int32)
    points = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
    hashes = np.zeros(len(texts), np.uint64)
    for i in range(int(lengths.max())):
        longer = np.flatnonzero(lengths > i)
        hashes[longer] = _extend(hashes[longer], points[starts[longer] + i])
    order = np.argsort(hashes, kind="stable")
    if len(np.unique(hashes)) != len(hashes):
        raise ValueError("two pieces share a hash; change the base")
    kept = [ids[texts[i]] for i in order]
    save_file(
        {
            "hashes": hashes[order],
            "ids": np.array(kept, np.int32),
            "scores": np.array([pieces[i][1] for i in kept], np.float64),
            "lengths": lengths[order],
            "starts": starts[order],
            "points": points,
            "special": special,
        },
        path,
    )


class Unigram:
    """Text to ids, `<s>` and `</s>` in."""

    def __init__(self, path: Path) -> None:
        arrays = {
            name: np.memmap(path, _DTYPES[dtype], "r", offset, shape)
            for name, (dtype, shape, offset, _) in tensor_offsets(path).items()
        }
        self._hashes, self._ids, self._scores = arrays["hashes"], arrays["ids"], arrays["scores"]
        self._lengths, self._starts, self._points = arrays["lengths"], arrays["starts"], arrays["points"]
        self._longest = int(self._lengths.max())
        self._unknown_score = float(self._scores.min()) - UNKNOWN_PENALTY
        self.special: Mapping[str, int] = dict(zip(SPECIAL, arrays["special"].tolist(), strict=True))
        self._normalizer = normalizer()
        self._special_in_text = re.compile("|".join(map(re.escape, SPECIAL)))

    def encode(self, text: str, max_tokens: int) -> list[int] | None:
        """The ids, cut at `max_tokens`; None for a text that spells out a special token, which is the library's affair."""
        if self._special_in_text.search(text):
            return None
        normal = self._normalizer.normalize_str(text).replace(" ", SPACE)
        if not normal.startswith(SPACE):
            normal = SPACE + normal
        ids: list[int] = []
        if text:
            for word in re.findall(f"{SPACE}[^{SPACE}]*", normal):
                ids += self._cut(word)
        return [self.special["<s>"], *ids[: max_tokens - 2], self.special["</s>"]]

    def _cut(self, word: str) -> list[int]:
        """The likeliest way to cut a word into pieces (Kudo 2018, arXiv:1804.10959), by Viterbi's algorithm."""
        n = len(word)
        found = self._pieces_in(word)
        unknown = self.special["<unk>"]
        best = [0.0] + [-np.inf] * n
        came: list[tuple[int, int] | None] = [None] * (n + 1)  # (start, id) of the best piece that ends here
        for start in range(n):
            single = False
            for length, piece, score in found[start]:
                single = single or length == 1
                if came[start + length] is None or best[start] + score > best[start + length]:
                    best[start + length], came[start + length] = best[start] + score, (start, piece)
            if not single and (came[start + 1] is None or best[start] + self._unknown_score > best[start + 1]):
                best[start + 1], came[start + 1] = best[start] + self._unknown_score, (start, unknown)
        ids: list[int] = []
        end = n
        while end > 0:
            step = came[end]
            assert step is not None, "every position can be reached, by an unknown character if need be"
            end, piece = step
            if not (piece == unknown and ids and ids[-1] == unknown):  # unknown characters in a row are one token
                ids.append(piece)
        return ids[::-1]

    def _pieces_in(self, word: str) -> list[list[tuple[int, int, float]]]:
        """For every start: (length, id, score) of each piece that stands there, shortest first."""
        points = np.array([ord(c) for c in word], np.uint32)
        n = len(points)
        out: list[list[tuple[int, int, float]]] = [[] for _ in range(n)]
        hashes = np.zeros(n, np.uint64)
        for length in range(1, min(n, self._longest) + 1):
            count = n - length + 1
            hashes = _extend(hashes[:count], points[length - 1 :])
            at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
            for start in np.flatnonzero(self._hashes[at] == hashes).tolist():
                row = int(at[start])
                first = int(self._starts[row])
                if self._lengths[row] == length and np.array_equal(
                    self._points[first : first + length], points[start : start + length]
                ):
                    out[start].append((length, int(self._ids[row]), float(self._scores[row])))
        return out


def _extend(hashes: NDArray[np.uint64], points: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Hashes of texts one character longer; arithmetic modulo 2**64."""
    mixed = (hashes ^ points.astype(np.uint64)) * _BASE
    return mixed ^ (mixed >> np.uint64(29))
