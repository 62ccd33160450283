"""The quick Unigram tokenizer agrees with the library, id by id."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rag.models.conversion import _unigram
from rag.models.unigram import SPECIAL, Unigram, write_pieces

LETTERS = "abcdé中文日本 "
PIECES = (
    *((s, 0.0) for s in SPECIAL[:4]),
    ("▁", -2.0),
    *((c, -5.0 - i / 7) for i, c in enumerate("abcd中文")),
    *((p, -4.0 - i / 3) for i, p in enumerate(("ab", "abc", "▁a", "▁ab", "bcd", "中文", "▁中", "cd", "dab"))),
    ("<mask>", 0.0),
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Unigram, Tokenizer]:
    path = tmp_path_factory.mktemp("unigram") / "pieces.safetensors"
    write_pieces(PIECES, path)
    return Unigram(path), _unigram(PIECES, 3)


@settings(max_examples=400, deadline=None)
@given(text=st.text(st.sampled_from(LETTERS + "😀ﬁＡ\t\u200b"), max_size=30))
def test_any_text_is_cut_as_by_the_library(both: tuple[Unigram, Tokenizer], text: str) -> None:
    quick, library = both
    assert quick.encode(text, 512) == library.encode(text).ids


def test_the_likeliest_pieces_win(both: tuple[Unigram, Tokenizer]) -> None:
    names = {p: i for i, (p, _) in enumerate(PIECES)}
    # "▁ab" (-5) + "cd" (-6.3) beats "▁" "abc" "d" (-2 - 4.3 - 5.4) and "▁a" "bcd" (-4.7 - 5.3 = -10)
    assert both[0].encode("abcd", 512) == [0, names["▁a"], names["bcd"], names["</s>"]]


def test_unknown_characters_in_a_row_are_one_token(both: tuple[Unigram, Tokenizer]) -> None:
    names = {p: i for i, (p, _) in enumerate(PIECES)}
    assert both[0].encode("本日本", 512) == [0, names["▁"], 3, names["</s>"]]


def test_it_is_cut_at_the_models_length(both: tuple[Unigram, Tokenizer]) -> None:
    ids = both[0].encode("abcd " * 50, 10)
    assert ids is not None
    assert (len(ids), ids[0], ids[-1]) == (10, 0, 2)


def test_a_spelt_out_special_token_is_left_to_the_library(both: tuple[Unigram, Tokenizer]) -> None:
    assert both[0].encode("a <mask> b", 512) is None


@pytest.mark.slow
def test_the_real_vocabulary_agrees_on_real_text(model: object) -> None:
    folder: Path = model("multilingual-e5-small")  # type: ignore[operator]
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    quick = Unigram(folder / "pieces.safetensors")
    corpus = Path(__file__).parents[3] / "corpus"
    files = [f for suffix in ("md", "txt") for f in sorted(corpus.rglob(f"*.{suffix}"))][:40]
    lines = [line for f in files for line in f.read_text(encoding="utf-8", errors="ignore").splitlines()][:1500]
    assert len(lines) > 300
    for line in lines:
        found = quick.encode(f"query: {line}", 100_000)
        assert found is None or found == library.encode(f"query: {line}").ids
