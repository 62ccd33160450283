"""Makes the projection of token codes: `python -m tests.bench.token_projection MODEL FILE... --out rag/retrieval/projections/MODEL.npz`.

FILE are texts, one passage a line, in the languages that the model is for. The result holds the mean of their token vectors and the first
principal directions; docs/bench/retrieval.md says which texts the shipped one comes from, and what other numbers of directions and bits gave.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from rag.retrieval.embedding import load_embedder
from rag.retrieval.token_codes import BITS
from rag.settings import Settings

EVERY = 4  # tokens: neighbours say much the same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    texts = [line for f in args.files for line in f.read_text(encoding="utf-8").splitlines() if line.strip()]
    made = load_embedder(args.model, Settings.load(), bulk=True).token_vectors(texts)
    tokens = np.concatenate([vectors[::EVERY] for vectors in made]).astype(np.float64)
    values, directions = np.linalg.eigh(np.cov(tokens, rowvar=False))
    axes = directions[:, ::-1][:, :BITS]
    # A direction and its opposite are equally right; one of them is chosen, so that the file comes out the same on every machine.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(BITS)])
    np.savez(args.out, mean=tokens.mean(axis=0).astype(np.float16), axes=axes.astype(np.float16))
    kept = values[::-1][:BITS].sum() / values.sum()
    print(f"{len(texts)} passages, {len(tokens)} tokens; {BITS} directions keep {kept:.3f} of the variance")


if __name__ == "__main__":
    main()
