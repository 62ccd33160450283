"""The sub-commands of `rag` itself. Each module registers a few and imports what it needs only when one runs."""

from __future__ import annotations

from argparse import ArgumentParser, _SubParsersAction

from rag.commands import asking, calibrate, collections, doctor, models


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the commands of this package."""
    for module in (asking, calibrate, collections, doctor, models):
        module.register(commands)
