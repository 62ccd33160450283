"""`rag documents`, `collections`, `diff`, `rollback`, `verify`, `backup` and `restore`: what is in the home, and keeping it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.cli import common, emit
from rag.errors import NotFound, UsageError
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.storage.collection import Collection
    from rag.storage.home import Home
    from rag.storage.snapshot import DocumentInfo, Snapshot

Run = Callable[[Namespace], int]


def register(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Adds the commands."""
    documents = _family(commands, "documents", "list, show or remove documents")
    listing = _command(documents, "list", run_documents_list, "the documents, by path")
    _scope(listing)
    show = _command(documents, "show", run_documents_show, "one document with its text and chunks")
    show.add_argument("document", help="id, path, file name or title")
    _scope(show)
    remove = _command(documents, "remove", run_documents_remove, "take a document out; older generations keep it")
    remove.add_argument("document", help="id, path, file name or title")

    collections = _family(commands, "collections", "list, create, remove or re-embed collections")
    _command(collections, "list", run_collections_list, "the collections of this home")
    create = _command(
        collections, "create", run_collections_create, "an empty collection, with the fields of the settings"
    )
    create.add_argument("name")
    create.add_argument("--fields", help="vector fields: bge+e5, bge, e5, or a sentence-transformers model")
    gone = _command(collections, "remove", run_collections_remove, "remove a collection and all it holds")
    gone.add_argument("name")
    again = _command(collections, "reembed", run_collections_reembed, "change the embedding model of a collection")
    again.add_argument("name")
    again.add_argument("--fields", help="vector fields: bge+e5, bge, e5, or a sentence-transformers model")
    compact = _command(
        collections, "compact", run_collections_compact, "merge segments; with --keep forget old generations"
    )
    compact.add_argument("name", nargs="?")
    compact.add_argument("--keep", type=int, metavar="N", help="keep the last N generations readable, drop older ones")
    history = _command(collections, "history", run_collections_history, "the generations that can be read")
    history.add_argument("name", nargs="?")

    diff = _command(commands, "diff", run_diff, "documents added, changed and removed between two generations")
    diff.add_argument("first", type=int, metavar="G1")
    diff.add_argument("second", type=int, metavar="G2")
    rollback = _command(commands, "rollback", run_rollback, "a new generation with the documents of an old one")
    rollback.add_argument("generation", type=int, metavar="G")
    _command(commands, "verify", run_verify, "check every byte of the home; exit 1 when something is damaged")
    backup = _command(commands, "backup", run_backup, "write a collection into one file")
    backup.add_argument("file", type=Path, metavar="FILE")
    restore = _command(commands, "restore", run_restore, "make the collection of a backup")
    restore.add_argument("file", type=Path, metavar="FILE")


def run_documents_list(args: Namespace) -> int:
    """Prints the documents that the groups may see."""
    with _collection(args) as collection:
        infos = collection.snapshot(args.as_of).documents(_groups(args))
    found = {"documents": [_info_json(i) for i in infos]}
    emit(args, found, "\n".join(f"{i.document}  {i.chunks:5d}  {i.path}  {i.title}" for i in infos) or "no documents")
    return 0


def run_documents_show(args: Namespace) -> int:
    """Prints one document."""
    with _collection(args) as collection:
        snapshot = collection.snapshot(args.as_of)
        groups = _groups(args)
        document_id = _found(snapshot, args.document, groups)
        document = snapshot.document(document_id, groups)
        chunks = snapshot.document_chunks(document_id, groups)
        (info,) = snapshot.info([document_id])
    found = _info_json(info) | {
        "text": document.text,
        "pages": [asdict(p) for p in document.pages],
        "chunk_list": [{"id": c.id, "span": list(c.span), "page": c.page, "heading": list(c.heading)} for c in chunks],
    }
    emit(args, found, f"{info.path}  ({info.title}, {info.chunks} chunks)\n\n{document.text}")
    return 0


def run_documents_remove(args: Namespace) -> int:
    """Removes one document."""
    with _collection(args) as collection:
        snapshot = collection.snapshot()
        (info,) = snapshot.info([_found(snapshot, args.document, None)])
        with collection.writer() as writer:
            writer.remove(info.document)
            generation = writer.commit(f"removed {info.path}")
    emit(
        args, {"removed": [_info_json(info)], "generation": generation}, f"removed {info.path}; generation {generation}"
    )
    return 0


def run_collections_list(args: Namespace) -> int:
    """Prints the collections."""
    home = _home(args)
    found = []
    for name in home.names():
        collection = home.open(name)
        try:
            newest = collection.generations()[-1]
            found.append(
                {
                    "name": name,
                    "documents": newest.documents,
                    "chunks": newest.chunks,
                    "generation": newest.generation,
                    "fields": [{"name": f.name, "model": f.model, "dim": f.dim} for f in collection.card.fields],
                }
            )
        finally:
            collection.close()
    lines = [
        f"{c['name']}  {c['documents']} documents, {c['chunks']} chunks, generation {c['generation']}" for c in found
    ]
    emit(args, {"collections": found}, "\n".join(lines) or "no collections")
    return 0


def run_collections_create(args: Namespace) -> int:
    """Makes an empty collection."""
    from rag.retrieval.fields import card

    made = card(_settings(args, fields=args.fields))
    _home(args).create(args.name, made).close()
    fields = [{"name": f.name, "model": f.model, "languages": list(f.languages)} for f in made.fields]
    shown = ", ".join(f"{f.name} ({f.model})" for f in made.fields)
    emit(args, {"name": args.name, "fields": fields}, f"collection {args.name} with fields {shown}")
    return 0


def run_collections_remove(args: Namespace) -> int:
    """Removes a collection."""
    _home(args).remove(args.name)
    emit(args, {"removed": args.name}, f"removed collection {args.name}")
    return 0


def run_collections_reembed(args: Namespace) -> int:
    """Embeds a collection anew."""
    from rag.retrieval.fields import card, open_fields
    from rag.retrieval.reembedding import reembed

    settings = _settings(args, fields=args.fields)
    home = _home(args)
    source = home.open(args.name, any_tokenizer=True)
    chunking = source.card.chunking
    source.close()
    fields = open_fields(card(settings, chunking), settings)

    def progress(done: int, total: int) -> None:
        sys.stderr.write(f"\r{done} of {total} documents")
        sys.stderr.flush()

    embedded = reembed(home, args.name, fields, progress)
    emit(args, {"name": args.name, "embedded": embedded}, f"collection {args.name}: {embedded} chunks embedded anew")
    return 0


def run_collections_compact(args: Namespace) -> int:
    """Merges segments and forgets old generations."""
    if args.keep is not None and args.keep < 1:
        raise UsageError(f"--keep must be at least 1, not {args.keep}")
    with _collection(args, args.name) as collection:
        dropped = collection.compact(args.keep)
        found = {"name": collection.name, "dropped": dropped, "segments": collection.segment_count()}
    emit(args, found, f"{found['segments']} segments, {dropped} chunks dropped")
    return 0


def run_collections_history(args: Namespace) -> int:
    """Prints the generations."""
    with _collection(args, args.name) as collection:
        kept = collection.generations()
    lines = [f"{g.generation:6d}  {g.time}  {g.documents} documents, {g.chunks} chunks  {g.note}" for g in kept]
    emit(args, {"generations": [asdict(g) for g in kept]}, "\n".join(lines))
    return 0


def run_diff(args: Namespace) -> int:
    """Prints what changed between two generations."""
    with _collection(args) as collection:
        changes = collection.diff(args.first, args.second)
    kinds = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    lines = [f"{sign} {i.path}" for sign, infos in zip("+~-", kinds.values(), strict=True) for i in infos]
    shown = {
        kind: [{"document": i.document, "path": i.path, "title": i.title} for i in infos]
        for kind, infos in kinds.items()
    }
    emit(args, shown, "\n".join(lines) or "no difference")
    return 0


def run_rollback(args: Namespace) -> int:
    """Brings an old generation back as a new one."""
    with _collection(args) as collection:
        generation = collection.rollback(args.generation)
    emit(
        args,
        {"generation": generation, "as": args.generation},
        f"generation {generation} has the documents of generation {args.generation}",
    )
    return 0


def run_verify(args: Namespace) -> int:
    """Checks the home, or one collection of it; exit code 1 when something is wrong."""
    home = _home(args)
    if args.collection and not home.exists(args.collection):
        raise NotFound(
            f"collection {args.collection}: there is none in {home.folder}; `rag collections list` shows what is"
        )
    if not home.folder.is_dir():
        raise NotFound(f"{home.folder}: no such home; make it with `rag ingest PATH`")
    problems = home.verify([args.collection] if args.collection else None)
    emit(args, {"ok": not problems, "problems": problems}, "\n".join(problems) or "all is well")
    return 1 if problems else 0


def run_backup(args: Namespace) -> int:
    """Writes a backup."""
    with _collection(args) as collection:
        collection.backup(args.file)
        name = collection.name
    size = args.file.stat().st_size
    emit(args, {"file": str(args.file), "bytes": size, "collection": name}, f"{args.file}: {size:,} bytes")
    return 0


def run_restore(args: Namespace) -> int:
    """Makes a collection of a backup, under its own name unless --collection gives another."""
    from rag.storage.backup import restore

    collection = restore(args.file, _home(args), args.collection)
    newest = collection.generations()[-1]
    collection.close()
    found = {"collection": collection.name, "documents": newest.documents, "generation": newest.generation}
    emit(args, found, f"collection {collection.name}: {newest.documents} documents, generation {newest.generation}")
    return 0


def _family(commands: _SubParsersAction[ArgumentParser], name: str, help: str) -> _SubParsersAction[ArgumentParser]:
    family = commands.add_parser(name, help=help, description=help.capitalize() + ".")
    return family.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)


def _command(commands: _SubParsersAction[ArgumentParser], name: str, run: Run, help: str) -> ArgumentParser:
    command = common(commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + "."))
    command.set_defaults(run=run)
    return command


def _scope(command: ArgumentParser) -> None:
    command.add_argument("--groups", metavar="A,B", help="see only what these groups may see (default: everything)")
    command.add_argument("--as-of", type=int, metavar="G", help="look at generation G, as it was committed")


def _groups(args: Namespace) -> frozenset[str] | None:
    return None if args.groups is None else frozenset(g.strip() for g in args.groups.split(",") if g.strip())


def _settings(args: Namespace, **flags: Any) -> Settings:
    return Settings.load(home=args.home, collection=args.collection, **flags)


def _home(args: Namespace) -> Home:
    from rag.wiring import Services

    return Services(_settings(args)).home


@contextmanager
def _collection(args: Namespace, name: str | None = None) -> Iterator[Collection]:
    from rag.wiring import Services

    with Services(_settings(args)) as services:
        yield services.collection(name)


def _found(snapshot: Snapshot, name: str, groups: frozenset[str] | None) -> str:
    found = snapshot.find(name, groups)
    if found is None:
        raise NotFound(f"document {name}: not here, or the name fits several; `rag documents list` shows the ids")
    return found


def _info_json(info: DocumentInfo) -> dict[str, Any]:
    found = asdict(info) | {"groups": sorted(info.groups)}
    del found["version"]
    return found
