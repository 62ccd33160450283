"""The operator's synonyms: one comma-separated group a line, in any language; `#` starts a comment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rag.errors import UsageError
from rag.index.tokenization import fold, tokenize

Groups = tuple[tuple[str, ...], ...]  # each word folded
WEIGHT = 0.7  # of a synonym's tokens beside the 1.0 of the user's own words

_LATIN = re.compile(r"[a-z0-9]")


def load(path: Path | None) -> Groups:
    """The groups of a file. Raises UsageError for a file that cannot be read or a line that is no group."""
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(
            f"synonyms {path}: cannot be read as UTF-8 text ({e}); mend the file or unset `synonyms`"
        ) from e
    groups = []
    for number, line in enumerate(lines, 1):
        words = tuple(dict.fromkeys(fold(w).strip() for w in re.split("[,，]", line.partition("#")[0]) if w.strip()))
        if len(words) == 1:
            raise UsageError(f"synonyms {path}, line {number}: one word alone; write two or more with commas between")
        if words:
            groups.append(words)
    return tuple(groups)


def expansion(question: str, groups: Sequence[Sequence[str]]) -> Mapping[str, float]:
    """Token -> weight for the synonyms of the words that stand in the question."""
    folded = fold(question)
    added: dict[str, float] = {}
    for group in groups:
        said = [w for w in group if _stands(w, folded)]
        for word in group if said else ():
            if word not in said:
                added |= dict.fromkeys(tokenize(word), WEIGHT)
    return added


def _stands(word: str, folded: str) -> bool:
    at = folded.find(word)
    while at >= 0:
        before, after = folded[at - 1 : at], folded[at + len(word) : at + len(word) + 1]
        # "art" does not stand in "start"; Chinese has no spaces, so there any place counts.
        if not (_LATIN.match(word[0]) and _LATIN.match(before)) and not (
            _LATIN.match(word[-1]) and _LATIN.match(after)
        ):
            return True
        at = folded.find(word, at + 1)
    return False
