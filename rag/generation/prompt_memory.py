"""What a model has read lately, so that the next prompt can begin with the same words and reuse their state (KV cache).

A state can be reused only for a prefix that is the same to the token. So when the sources of an earlier prompt hold all that a
new question needs, they are shown again exactly as they were, in the same order; when only its first sources do, the new
prompt begins with those. Nothing is shown that this search did not find: every remembered chunk must be among its hits, which
went through the caller's permissions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from threading import Lock

from rag.generation.context import Context, tokens_of
from rag.generation.prompting import PromptSource
from rag.generation.token_estimate import estimate_tokens
from rag.types import Hit

_KEPT = 64  # contexts
_KEPT_TOKENS = 24_000  # of all of them: states take 28 MB a thousand tokens at 1.5B, and the engine keeps a gigabyte


@dataclass(frozen=True, slots=True)
class _Shown:
    key: tuple[str, str]  # document and the chunk's whole text
    source: PromptSource


@dataclass(frozen=True, slots=True)
class _Read:
    shown: tuple[_Shown, ...]
    tokens: int


class PromptMemory:
    """The contexts shown to one model, latest last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._contexts: OrderedDict[tuple[tuple[str, str], ...], _Read] = OrderedDict()

    def remember(self, context: Context) -> None:
        """Notes that the model has read this. A longer context that begins with it is forgotten: engines go back to where two prompts part."""
        shown = tuple(_Shown(_key(h), s) for h, s in zip(context.hits, context.sources, strict=True))
        key = tuple((s.key[0], s.source.text) for s in shown)
        with self._lock:
            for old in [k for k in self._contexts if _begins(key, k) or _begins(k, key)]:
                del self._contexts[old]
            self._contexts[key] = _Read(shown, context.tokens)
            while len(self._contexts) > 1 and (len(self._contexts) > _KEPT or self._kept_tokens() > _KEPT_TOKENS):
                self._contexts.popitem(last=False)

    def _kept_tokens(self) -> int:
        return sum(read.tokens for read in self._contexts.values())

    def chosen(
        self, cut: Callable[..., Context], hits: Sequence[Hit], budget: int, *, words_tell: bool = True
    ) -> Context:
        """What is shown for a question, and remembered. `cut` chooses sentences of the hits; with `by_words` it embeds none of them.

        Where words tell, they are asked first: what was read whole holds the answer as often as a careful choice does (tests/bench/reuse_bench.py),
        and nothing else has to be compared, a quarter of the time to the first token then.
        """
        held = self.holding(cut(by_words=True), hits) if words_tell and self._contexts else None
        context = self.reuse(cut(), hits, budget) if held is None else held
        if context.hits:
            self.remember(context)
        return context

    def holding(self, wanted: Context, hits: Sequence[Hit]) -> Context | None:
        """The longest of the beginnings of earlier prompts that end where they have all that `wanted` cannot do without: nothing of it
        is read anew. None where there is none."""
        found = {_key(h): h for h in hits}
        contexts = (_enough(usable, wanted, found) for usable in self._usable(found))
        return max((c for c in contexts if c is not None), key=lambda c: c.tokens, default=None)

    def reuse(self, wanted: Context, hits: Sequence[Hit], budget: int) -> Context:
        """`wanted`, or a context with the same evidence that begins as an earlier prompt did."""
        held = self.holding(wanted, hits)
        if held is not None:
            return held
        found = {_key(h): h for h in hits}
        best, saved = wanted, 0
        for usable in self._usable(found):
            context, reused = _beginning_with(usable, wanted, found, budget)
            if context is not None and reused > saved:
                best, saved = context, reused
        return best

    def _usable(self, found: Collection[tuple[str, str]]) -> list[list[_Shown]]:
        """Of each context, latest first, the sources up to the first one that was not found: only a prefix can be reused."""
        with self._lock:
            remembered = list(reversed(self._contexts.values()))
        beginnings = [list(takewhile(lambda s: s.key in found, read.shown)) for read in remembered]
        return [b for b in beginnings if b]


def _begins(new: Sequence[tuple[str, str]], old: Sequence[tuple[str, str]]) -> bool:
    """Whether a context begins with all that an older one shows, or is the same: documents and texts."""
    return (
        len(new) >= len(old)
        and new[: len(old) - 1] == old[:-1]
        and new[len(old) - 1][0] == old[-1][0]
        and new[len(old) - 1][1].startswith(old[-1][1])
    )


def _key(hit: Hit) -> tuple[str, str]:
    return hit.chunk.document, hit.chunk.text


def _enough(usable: Sequence[_Shown], wanted: Context, found: Mapping[tuple[str, str], Hit]) -> Context | None:
    """As many of the usable sources as hold the core of what is wanted."""
    texts: dict[str, str] = {}
    for n, s in enumerate(usable, 1):
        texts[s.key[0]] = f"{texts.get(s.key[0], '')} {s.source.text}"
        if wanted.core and all(_covered(texts.get(document, ""), text) for document, text in wanted.core):
            return _numbered([(found[e.key], e.source) for e in usable[:n]])
    return None


def _beginning_with(
    usable: Sequence[_Shown], wanted: Context, found: Mapping[tuple[str, str], Hit], budget: int
) -> tuple[Context | None, int]:
    """A context that starts with the usable sources and adds what `wanted` has beyond them, and the tokens it reuses."""
    new = list(zip(wanted.hits, wanted.sources, strict=True))
    # The longest beginning of which each source is one that the question needs anyway.
    head: list[_Shown] = []
    for s in usable:
        if not any(_key(h) == s.key and _covered(s.source.text, source.text) for h, source in new):
            break
        head.append(s)
    if not head:
        return None, 0
    taken = {s.key for s in head}
    pieces = [(found[s.key], s.source) for s in head] + [(h, s) for h, s in new if _key(h) not in taken]
    context = _numbered(pieces)
    while len(context.sources) > len(head) and context.tokens > budget * 1.15:
        context = _numbered(list(zip(context.hits, context.sources, strict=True))[:-1])
    shown = {h.chunk.document: s.text for h, s in zip(context.hits, context.sources, strict=True)}
    if not all(_covered(shown.get(document, ""), text) for document, text in wanted.core):
        return None, 0
    return context, sum(estimate_tokens(s.source.text) for s in head)


def _covered(old: str, new: str) -> bool:
    """Whether every sentence of `new` stands in `old`."""
    return bool(old) and all(piece.strip() in old for piece in new.replace("\n", " … ").split(" … ") if piece.strip())


def _numbered(pieces: Sequence[tuple[Hit, PromptSource]]) -> Context:
    sources = tuple(replace(s, n=n) for n, (_, s) in enumerate(pieces, 1))
    return Context(tuple(h for h, _ in pieces), sources, tokens_of(sources))
