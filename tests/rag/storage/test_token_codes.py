"""Token codes belong to a content: they come, stay and go with the chunks that have it."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from rag.storage.collection import Collection
from tests.rag.storage.stores import parts, put


def test_equal_chunks_share_them(collection: Collection) -> None:
    with collection.writer() as writer:
        for name in ("a", "b"):
            writer.put(*parts(name, "violet\nsame line"))
        for line in ("violet", "same line"):
            writer.put_codes(digest(line), line.encode())
        writer.put_codes(digest("of nobody"), b"never put")
        writer.commit()
    assert collection.database.value("SELECT count(*) FROM token_codes") == 2
    assert collection.snapshot().token_codes([digest("violet"), digest("unknown")]) == {digest("violet"): b"violet"}


def test_they_stay_with_a_moved_document_and_go_with_the_last_one_that_has_them(collection: Collection) -> None:
    with collection.writer() as writer:
        document, chunks, vectors = parts("a", "violet")
        writer.put(document, chunks, vectors)
        writer.put_codes(chunks[0].content_hash, b"codes")
        writer.commit()
    with collection.writer() as writer:
        writer.move("a", replace(document, id="b", path="b.md"))
        writer.commit()
    put(collection, ("c", "other"))
    collection.compact(keep=1)
    assert collection.snapshot().token_codes([digest("violet")]) == {digest("violet"): b"codes"}
    with collection.writer() as writer:
        writer.remove("b")
        writer.commit()
    collection.compact(keep=1)
    assert collection.database.value("SELECT count(*) FROM token_codes") == 0


def test_what_is_not_committed_is_forgotten(collection: Collection) -> None:
    with collection.writer() as writer:
        writer.put(*parts("a", "violet"))
        writer.put_codes(digest("violet"), b"codes")
    assert collection.snapshot().token_codes([digest("violet")]) == {}


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
