"""`rag tune dataset | train | export | parity`: flags in, one call, a few lines out."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rag.cli import common, emit
from rag.settings import Settings


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the four commands."""
    _register_dataset(commands)
    _register_train(commands)
    _register_export(commands)
    check = common(commands.add_parser("parity", help="prove that the served model is the trained one"))
    check.add_argument("--export", type=Path, required=True, metavar="DIR", help="folder of `rag tune export`")
    check.add_argument("--ollama", metavar="NAME", help="also compare how Ollama renders chats for this model")
    check.set_defaults(run=_parity)


def _register_dataset(commands: _SubParsersAction[ArgumentParser]) -> None:
    p = common(commands.add_parser("dataset", help="make a training set, split by document"))
    p.add_argument(
        "--questions",
        type=Path,
        metavar="PATH",
        help="questions with answers: golden, BEIR folder, or instruction JSON",
    )
    p.add_argument("--split", metavar="NAME", help="only the questions that say `split: NAME`")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument(
        "--generate", type=int, metavar="N", help="pairs the local model proposes (default: 60 without --questions)"
    )
    p.add_argument("--model", metavar="NAME", help="generator that proposes them (default: the settings')")
    p.add_argument("--paraphrases", action="store_true", help="also ask the same in other words")
    p.add_argument("--raft", action="store_true", help="also the same questions over sources, with distractors")
    p.add_argument("--text", action="store_true", help="also the documents' text, to go on training with")
    p.add_argument(
        "--guard", type=Path, metavar="PATH", help="questions that will be reported on: nothing like them is trained"
    )
    p.add_argument("--review", action="store_true", help="accept, edit or reject every generated pair in the terminal")
    p.add_argument("--seed", type=int, default=0)
    p.set_defaults(run=_dataset)


def _register_train(commands: _SubParsersAction[ArgumentParser]) -> None:
    p = common(commands.add_parser("train", help="train a LoRA adapter; run it again to go on after an interruption"))
    p.add_argument("--base", required=True, metavar="MODEL", help="catalog name, .gguf file or model folder")
    p.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with train.json and validation.json")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--steps", type=int, default=0, help="optimizer steps (default: three times through the data)")
    p.add_argument("--rank", type=int, default=8)
    p.add_argument("--alpha", type=int, metavar="A", help="default: twice the rank")
    p.add_argument("--targets", metavar="a,b", help="projections that get an adapter (default: all linear ones)")
    p.add_argument("--rslora", action="store_true", help="scale by alpha / sqrt(rank)")
    p.add_argument("--rate", type=float, default=5e-4, help="highest learning rate")
    p.add_argument("--batch", type=int, default=4, help="sequences at once")
    p.add_argument("--accumulate", type=int, default=1, help="batches a step")
    p.add_argument("--max-length", type=int, default=512, help="tokens of the longest sequence")
    p.add_argument("--checkpointing", action="store_true", help="less memory, a third slower")
    p.add_argument("--qlora", action="store_true", help="4-bit base on a GPU")
    p.add_argument(
        "--patience", type=int, default=3, help="validations without progress before it stops; 0 = never stop early"
    )
    p.add_argument("--validate-every", type=int, default=0, metavar="STEPS")
    p.add_argument("--checkpoint-every", type=int, default=0, metavar="STEPS")
    p.add_argument(
        "--stop-after", type=int, metavar="STEPS", help="end this run after so many steps; the next one goes on"
    )
    p.add_argument("--restart", action="store_true", help="throw away the checkpoints in --out")
    p.add_argument("--seed", type=int, default=0)
    p.set_defaults(run=_train)


def _register_export(commands: _SubParsersAction[ArgumentParser]) -> None:
    p = common(commands.add_parser("export", help="adapter.gguf, merged model.gguf, Modelfile"))
    p.add_argument("--adapter", type=Path, required=True, metavar="DIR", help="folder of `rag tune train`")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--base", metavar="MODEL", help="default: the one it was trained on")
    p.add_argument("--base-gguf", type=Path, metavar="FILE", help="GGUF of the base, when the base is a folder")
    p.add_argument("--quantize", choices=("q8_0", "same", "f16"), default="q8_0", help="type of the merged tensors")
    p.add_argument("--ollama", metavar="NAME", help="also create this model in Ollama, from the merged GGUF")
    p.set_defaults(run=_export)


def _settings(args: Namespace, **flags: Any) -> Settings:
    return Settings.load(home=args.home, collection=args.collection, **flags)


def _dataset(args: Namespace) -> int:
    from eval.lora.dataset_run import Wanted, make_dataset
    from rag.wiring import Services

    generate = args.generate if args.generate is not None else (0 if args.questions or args.text else 60)
    wanted = Wanted(
        args.questions, args.split, args.guard, generate, args.paraphrases, args.raft, args.text, args.review, args.seed
    )
    with Services(_settings(args, generator=args.model and _named(args.model))) as services:
        made = make_dataset(wanted, services, args.out)
    n = made["counts"]
    lines = [
        f"{args.out}: {n['train']} train, {n['validation']} validation, {n['test']} test examples, split by document"
    ]
    if made["across"]:
        lines.append(f"{made['across']} left out: their documents lie in different parts")
    if made["repeated"] or made["leaked"]:
        lines.append(f"dropped: {made['repeated']} repetitions, {len(made['leaked'])} that the guarded questions ask")
    emit(args, made, "\n".join([*lines, f"next: rag tune train --base MODEL --data {args.out} --out ADAPTER"]))
    return 0


def _train(args: Namespace) -> int:
    import shutil

    from eval.lora.base import LINEAR, find_base
    from eval.lora.dataset import MANIFEST
    from eval.lora.examples import read_examples
    from eval.lora.exported import TRAINED
    from eval.lora.training import Recipe, train

    settings = _settings(args)
    recipe = Recipe(
        steps=args.steps,
        rank=args.rank,
        alpha=args.alpha or 2 * args.rank,
        targets=tuple(t.strip() for t in args.targets.split(",")) if args.targets else LINEAR,
        rslora=args.rslora,
        rate=args.rate,
        batch=args.batch,
        accumulate=args.accumulate,
        max_length=args.max_length,
        seed=args.seed,
        checkpointing=args.checkpointing,
        qlora=args.qlora,
        patience=args.patience,
        validate_every=args.validate_every,
        checkpoint_every=args.checkpoint_every,
    )
    examples = read_examples(args.data / "train.json")
    validation = args.data / "validation.json"
    held = read_examples(validation) if validation.is_file() else []
    manifest = args.data / MANIFEST
    about = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    base = find_base(args.base, Path(settings.models))
    if args.restart:
        for old in args.out.glob("checkpoint-*"):
            shutil.rmtree(old)
    facts = {key: about[key] for key in ("documents", "groups", "held_out") if key in about}
    done = train(
        base, examples, held, recipe, args.out, facts=facts, stop_after=args.stop_after, threads=settings.threads
    )
    if done.finished:
        shutil.copyfile(args.data / "train.json", args.out / TRAINED)
    next_step = (
        f"next: rag tune export --adapter {args.out} --out EXPORT" if done.finished else "run the same command to go on"
    )
    validated = "" if done.validation is None else f", validation {done.validation:.3f}"
    text = f"{done.steps} steps, loss {done.loss:.3f}{validated}, {done.tokens} tokens in {done.seconds:.0f} s\n{next_step}"
    emit(args, asdict(done), text)
    return 0


def _export(args: Namespace) -> int:
    from eval.lora.base import find_base
    from eval.lora.exporting import export, trained_on
    from rag.errors import UsageError

    settings = _settings(args)
    training = trained_on(args.adapter)
    name = args.base or training.get("base_path") or training.get("base")
    if not name:
        raise UsageError(f"{args.adapter}: it does not say what it was trained on; give --base")
    base = find_base(name, Path(settings.models))
    if not base.is_gguf and args.base_gguf is None:
        raise UsageError(
            f"{base.path}: a folder; the export needs the GGUF file of the same model: give --base-gguf FILE"
        )
    done = export(args.adapter, base, args.base_gguf or base.path, args.out, args.quantize)
    if args.ollama:
        from eval.lora.ollama_model import create

        create(args.ollama, done, settings)
    emit(
        args,
        dict(done.about),
        f"{args.out}: adapter.gguf, model.gguf, Modelfile\nnext: rag tune parity --export {args.out}",
    )
    return 0


def _parity(args: Namespace) -> int:
    from eval.lora.exported import read_export
    from eval.lora.parity_run import check_parity

    export = read_export(args.export)
    result = check_parity(export, _settings(args))
    if result.ok and args.ollama:
        from dataclasses import replace

        from eval.lora.ollama_model import check_template, host_of

        cause = check_template(args.ollama, export, host_of(os.environ.get("OLLAMA_HOST", "")))
        result = replace(result, ok=not cause, cause=cause)
    if result.ok:
        effect = f"the adapter moves log-probabilities by up to {result.largest_effect:.3f} nats"
        text = (
            f"ok: same template, same tokens, log-probabilities within {result.logprob_difference:.3f} nats, "
            f"{result.top_agreement:.0%} the same next token; {effect}"
        )
        emit(args, result.record(), text)
        return 0
    if args.json:
        emit(args, result.record(), "")
    sys.stderr.write(f"rag: parity failed: {result.cause}; the comparison will not run with {args.export}\n")
    return 1


def _named(model: str) -> str:
    """A bare catalog name or .gguf file as the embedded generator, anything with a kind as it is."""
    return model if model.partition(":")[0] in ("auto", "embedded", "ollama", "openai") else f"embedded:{model}"
