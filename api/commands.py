"""`rag serve` and `rag keys`: the service, and who may use it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, _SubParsersAction
from typing import TYPE_CHECKING

from rag.cli import common, emit
from rag.errors import UsageError
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.storage.ledger import Ledger


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the commands of this package."""
    serve = common(
        commands.add_parser(
            "serve",
            help="the service: chat page, HTTP interface, OpenAI-compatible, MCP",
            description="Serves until it is stopped. Beyond loopback it needs a key: `rag keys create --admin`.",
        )
    )
    serve.add_argument("--host", help="address to bind to (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to bind to (default 8600)")
    serve.set_defaults(run=run_serve)

    keys = commands.add_parser("keys", help="who may use the service", description="Keys of the service.")
    actions = keys.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = common(actions.add_parser("create", help="make a key; it is shown once"))
    create.add_argument("--name", default="", help="whose it is, for the list")
    create.add_argument(
        "--groups", metavar="A,B", default="", help="groups whose documents it sees, beside the public ones"
    )
    create.add_argument("--admin", action="store_true", help="sees everything, uploads, deletes")
    create.set_defaults(run=run_create)
    common(actions.add_parser("list", help="all keys, without their secrets")).set_defaults(run=run_list)
    revoke = common(actions.add_parser("revoke", help="refuse a key from now on"))
    revoke.add_argument("id", help="as `rag keys list` shows it")
    revoke.set_defaults(run=run_revoke)


def run_serve(args: Namespace) -> int:
    """Serves until it is stopped."""
    from api.serving import serve

    return serve(Settings.load(home=args.home, collection=args.collection, host=args.host, port=args.port))


def run_create(args: Namespace) -> int:
    """Prints the new key."""
    groups = [g.strip() for g in args.groups.split(",") if g.strip()]
    if args.admin and groups:
        raise UsageError("an admin key sees everything; give --admin or --groups, not both")
    with _ledger(args) as ledger:
        secret, key = ledger.create_key(args.name, groups, args.admin)
    sees = "everything" if key.admin else ", ".join(["public documents", *sorted(key.groups)])
    emit(args, {"key": secret, "id": key.id}, f"{secret}\n(id {key.id}; sees {sees}; it is not shown again)")
    return 0


def run_list(args: Namespace) -> int:
    """Prints all keys."""
    with _ledger(args) as ledger:
        found = ledger.list_keys()
    listed = [
        {
            "id": k.id,
            "name": k.name,
            "groups": sorted(k.groups),
            "admin": k.admin,
            "created": k.created,
            "revoked": k.revoked,
        }
        for k in found
    ]
    lines = [
        f"{k.id}  {'admin' if k.admin else ','.join(sorted(k.groups)) or 'public'}  {k.created[:10]}  "
        f"{'revoked' if k.revoked else 'active'}  {k.name}"
        for k in found
    ]
    emit(
        args,
        {"keys": listed},
        "\n".join(lines) or "no keys: the service is open to this machine, and to this machine only",
    )
    return 0


def run_revoke(args: Namespace) -> int:
    """Refuses a key from now on; a running service sees it at the next request."""
    with _ledger(args) as ledger:
        key = ledger.revoke_key(args.id)
    emit(args, {"id": key.id, "revoked": key.revoked}, f"{key.id} is revoked")
    return 0


def _ledger(args: Namespace) -> Ledger:
    from rag.storage.ledger import Ledger

    return Ledger(Settings.load(home=args.home, collection=args.collection).home)
