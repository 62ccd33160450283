"""`rag doctor`: looks at everything an answer needs and says what is wrong, with the next step. Loads no weights."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from dataclasses import dataclass
from pathlib import Path

from rag.cli import common, emit
from rag.errors import RagError
from rag.settings import Settings
from rag.wiring import Services


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at."""

    name: str
    detail: str
    problems: tuple[str, ...] = ()


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the command."""
    doctor = commands.add_parser(
        "doctor",
        help="check models, generator and collection, and say what to do",
        description="Checks what answers depend on. Exit code 1 when something is wrong.",
        epilog="Example: RAG_GENERATOR=ollama:qwen2.5 rag doctor",
    )
    common(doctor)
    doctor.add_argument("--model", metavar="M", help="generator to check instead of the configured one")
    doctor.set_defaults(run=run_doctor)


def run_doctor(args: Namespace) -> int:
    """Prints every look and its problems."""
    settings = Settings.load(home=args.home, collection=args.collection, generator=args.model)
    with Services(settings) as services:
        looks = [_machine(), _models(settings), _generator(settings), _collection(services)]
    problems = [p for look in looks for p in look.problems]
    lines = []
    for look in looks:
        lines.append(f"{'ok   ' if not look.problems else 'WRONG'} {look.name}: {look.detail}")
        lines += [f"      {p}" for p in look.problems]
    emit(
        args,
        {"ok": not problems, "problems": problems, "checks": [{"name": x.name, "detail": x.detail, "problems": list(x.problems)} for x in looks]},
        "\n".join(lines),
    )  # fmt: skip
    return 1 if problems else 0


def _machine() -> Look:
    import psutil

    memory = psutil.virtual_memory()
    detail = (
        f"{psutil.cpu_count()} cores, {memory.total / 2**30:.1f} GiB of memory, {memory.available / 2**30:.1f} free"
    )
    low = memory.available < 2**30
    return Look("machine", detail, ("less than 1 GiB of memory is free; stop something or use a smaller model",) * low)


def _models(settings: Settings) -> Look:
    import os

    folder = Path(settings.models)
    nearest = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(nearest, os.W_OK):
        return Look("models", str(folder), (f"{nearest} is not writable; set RAG_MODELS to a folder that is",))
    there = (
        sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")) if folder.is_dir() else []
    )
    return Look("models", f"{folder}: {', '.join(there) or 'none yet; the first use fetches them'}")


def _generator(settings: Settings) -> Look:
    from rag.generation.generators import describe

    try:
        name, problems = describe(settings)
    except RagError as e:
        return Look("generator", settings.generator, (str(e),))
    return Look("generator", name, tuple(problems))


def _collection(services: Services) -> Look:
    home, name = services.home, services.settings.collection
    if not home.exists(name):
        return Look("collection", f"{name}: not there yet; `rag ingest PATH` makes it")
    try:
        collection = services.collection(name)
        documents = len(collection.snapshot().documents(None))
        calibrated = "calibrated" if collection.get_setting("calibration") else "not calibrated (`rag calibrate`)"
        return Look("collection", f"{name}: {documents} documents, generation {collection.generation}, {calibrated}")
    except RagError as e:
        return Look("collection", name, (str(e),))
