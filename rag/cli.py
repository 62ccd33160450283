"""The command `rag`: finds the sub-commands that the packages register, runs one, turns errors into exit codes.

Exit codes: 0 done, 1 failed (one line on stderr), 2 wrong usage, 3 done but some files could not be read, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points, version
from typing import Any

from rag.errors import RagError

Handler = Callable[[argparse.Namespace], int]


def parser() -> argparse.ArgumentParser:
    """The whole command line. Building it imports no model, index or server code."""
    top = argparse.ArgumentParser(
        prog="rag",
        description="Ask a company's own documents, on its own machine, and get answers with citations.",
        epilog='Start with: rag ingest DOCS && rag ask "your question". Every command explains itself: rag COMMAND --help.',
    )
    top.add_argument("--version", action="version", version=f"ragbase {version('ragbase')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for point in sorted(entry_points(group="rag.commands"), key=lambda p: (p.name != "rag", p.name)):
        point.load()(commands)
    return top


def common(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Adds the flags that every command takes."""
    command.add_argument("--home", metavar="DIR", help="folder that holds everything (RAG_HOME, default ./.ragbase)")
    command.add_argument("--collection", metavar="NAME", help="collection to work on (default: default)")
    command.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    return command


def emit(args: argparse.Namespace, document: Any, text: str) -> None:
    """Prints the result: `document` as JSON under --json, else `text`."""
    out = json.dumps(document, ensure_ascii=False, indent=1) if args.json else text
    sys.stdout.write(out.rstrip("\n") + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    try:
        args = parser().parse_args(argv)
        run: Handler = args.run
        code = run(args)
        sys.stdout.flush()
        return code
    except RagError as e:
        sys.stderr.write(f"rag: {' '.join(str(e).split())}\n")
        return e.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("rag: interrupted; what was committed is kept, run the same command again to go on\n")
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`rag search ... | head -1`): nothing to report, and nothing to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as e:
        sys.stderr.write(f"rag: {e.filename or 'I/O'}: {e.strerror or e}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
