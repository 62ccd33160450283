"""The sub-commands of `ingest`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction

from rag.cli import common


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the commands of this package."""
    command = common(
        commands.add_parser(
            "ingest",
            help="read files and folders into a collection",
            description="Reads what is new or changed, keeps the rest.",
        )
    )
    command.add_argument("paths", nargs="+", metavar="PATH", help="files or folders")
    command.add_argument(
        "--groups", metavar="G1,G2", help="who may see these documents (new ones: public; known ones keep theirs)"
    )
    command.add_argument("--prune", action="store_true", help="remove documents whose files below PATH are gone")
    command.add_argument("--watch", action="store_true", help="stay and follow changes; deleted files are removed")
    command.add_argument("--dry-run", action="store_true", help="say what would change, change nothing")
    command.add_argument(
        "--report", action="store_true", help="list every page that was read badly, of all documents below PATH"
    )
    command.add_argument("--again", action="store_true", help="read unchanged files too")
    command.set_defaults(run=_run)


def _run(args: Namespace) -> int:
    from ingest.ingest_command import run

    return run(args)
