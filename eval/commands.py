"""The sub-commands of `eval`: a table. Each module parses its own flags and calls one function."""

from __future__ import annotations

from argparse import ArgumentParser, _SubParsersAction


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds `rag eval ...` and `rag tune ...`."""
    from eval import answers_command, diff_command, retrieval_command, robustness_command
    from eval.lora import commands as tuning

    measure = commands.add_parser("eval", help="measure retrieval and answers", description="Measure, with intervals.")
    below = measure.add_subparsers(dest="what", metavar="WHAT", required=True)
    retrieval_command.register(below)
    answers_command.register(below)
    robustness_command.register(below)
    diff_command.register(below)

    tune = commands.add_parser(
        "tune", help="train, export and check a LoRA adapter", description="Train a small model."
    )
    tuning.register(tune.add_subparsers(dest="what", metavar="WHAT", required=True))
