"""How sharply the parity gate tells a right export from a wrong one: the figures behind its limits.

    parity_bench.py EXPORT_DIR [--home DIR]

Measures the export as it is, and three adapters spoilt in the ways in which exports go wrong: query and key rows in the framework's
order (llama bases only), the scale doubled, and matrices of another layer. Prints a line each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from eval.lora.exported import read_export
from eval.lora.framework import Framework
from eval.lora.gguf_adapter import Adapter, Matrix, open_base, read_adapter, write_adapter
from eval.lora.parity import measure
from eval.lora.parity_run import base_of
from eval.lora.served import ServedModel
from rag.settings import Settings


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("export", type=Path)
    p.add_argument("--home")
    a = p.parse_args()
    settings = Settings.load(home=a.home)
    export = read_export(a.export)
    base = base_of(export, settings)
    framework = Framework(base, export.folder)
    right = read_adapter(export.folder, open_base(base.path))
    plain = ServedModel(base.path, "base", context_length=1024, threads=settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        for name, adapter in spoilt(right).items():
            file = Path(folder) / "adapter.gguf"
            write_adapter(adapter, file, {})
            served = ServedModel(base.path, name, context_length=1024, threads=settings.threads, lora=file)
            found = measure(export, framework, plain, served, None)
            served.close()
            keys = (
                "ok",
                "direction",
                "logprob_difference",
                "base_difference",
                "top_agreement",
                "largest_effect",
                "cause",
            )
            print(json.dumps({"adapter": name} | {k: found.record()[k] for k in keys}), flush=True)


def spoilt(right: Adapter) -> dict[str, Adapter]:
    """Name -> adapter."""
    found = {"as exported": right}
    if right.architecture == "llama":
        found["query and key rows not reordered"] = replace(right, matrices=_unordered(right))
    names = list(right.matrices)
    rolled = {n: right.matrices[_other_layer(n, names)] for n in names}
    return found | {
        "scale doubled": replace(right, alpha=2 * right.alpha),
        "scale zero": replace(right, alpha=1e-9),
        "matrices of the next layer": replace(right, matrices=rolled),
    }


def _other_layer(name: str, names: list[str]) -> str:
    _, layer, rest = name.split(".", 2)
    other = f"blk.{int(layer) + 1}.{rest}"
    return other if other in names else f"blk.0.{rest}"


def _unordered(right: Adapter) -> dict[str, tuple[Matrix, Matrix]]:
    """The rows as the framework has them: the reordering of `read_adapter` undone."""
    heads_of = (
        {".attn_q.": 9, ".attn_k.": 3} if "blk.29.attn_q.weight" in right.matrices else {".attn_q.": 32, ".attn_k.": 8}
    )
    found = {}
    for name, (a, b) in right.matrices.items():
        heads = next((h for key, h in heads_of.items() if key in name), 0)
        if heads:
            d = b.shape[0] // heads
            b = b.reshape(heads, d // 2, 2, b.shape[1]).swapaxes(1, 2).reshape(b.shape)
        found[name] = (a, b)
    return found


if __name__ == "__main__":
    main()
