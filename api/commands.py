"""The sub-commands of `api`."""

from __future__ import annotations

from argparse import ArgumentParser, _SubParsersAction


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the commands of this package."""
