"""BM25: equal to two independent implementations when everything is allowed, and to a smaller corpus when not."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import bm25s
import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from rag.index import postings
from rag.index.keyword import KeywordScorer

WORDS = [f"w{i}" for i in range(60)]


class OkapiWithLucenesIdf(BM25Okapi):
    """rank_bm25's scores with the idf that is positive everywhere: the seam that rank_bm25 itself offers for idf."""

    def _calc_idf(self, nd: dict[str, int]) -> None:
        self.idf = {w: math.log(1 + (self.corpus_size - n + 0.5) / (n + 0.5)) for w, n in nd.items()}


def scorer(
    corpus: Sequence[Sequence[str]], cuts: Sequence[int] = (), allowed: np.ndarray | None = None
) -> KeywordScorer:
    """Over the corpus cut into segments at these rows."""
    edges = [0, *cuts, len(corpus)]
    parts = [range(a, b) for a, b in itertools.pairwise(edges) if a < b]
    mask = np.ones(len(corpus), bool) if allowed is None else allowed
    return KeywordScorer(
        [postings.build([corpus[i] for i in part]) for part in parts],
        [np.array(part, np.int64) for part in parts],
        [mask[list(part)] for part in parts],
    )


def random_corpus(rng: random.Random) -> list[list[str]]:
    size = rng.randint(1, 40)
    words = WORDS[: rng.randint(2, 60)]
    return [rng.choices(words, k=rng.randint(1, 30)) for _ in range(size)]


def test_equals_rank_bm25_on_two_thousand_random_corpora_in_any_segmentation() -> None:
    rng = random.Random(7)
    for _ in range(2000):
        corpus = random_corpus(rng)
        query = rng.choices(WORDS, k=rng.randint(1, 6))
        expected = OkapiWithLucenesIdf(corpus).get_scores(query)
        cuts = sorted(rng.sample(range(1, len(corpus)), min(len(corpus) - 1, rng.randint(0, 3))))
        found = scorer(corpus, cuts).search(query, len(corpus))
        assert set(found.ids) == set(np.flatnonzero(expected > 0))
        np.testing.assert_allclose(found.scores, expected[found.ids], rtol=2e-5)
        order = np.lexsort((found.ids, -found.scores))
        assert (order == np.arange(len(order))).all()


def test_long_rankings_cut_short_equal_rank_bm25() -> None:
    # Common and rare words as in language, so that most rows are never looked at in full.
    rng = np.random.default_rng(5)
    words = np.array([f"w{i}" for i in range(5000)])
    share = 1 / (np.arange(5000) + 2.7)
    corpus = [list(rng.choice(words, size=rng.integers(5, 60), p=share / share.sum())) for _ in range(3000)]
    model = OkapiWithLucenesIdf(corpus)
    for cuts in ([], [1000, 1100]):
        ours = scorer(corpus, cuts)
        for _ in range(200):
            query = [str(w) for w in corpus[rng.integers(3000)][: rng.integers(1, 8)]]
            expected = model.get_scores(query)
            found = ours.search(query, 10)
            best = -np.sort(-expected)[: len(found)]
            np.testing.assert_allclose(found.scores, best, rtol=2e-5)
            np.testing.assert_allclose(found.scores, expected[found.ids], rtol=2e-5)


def test_equals_bm25s_with_lucenes_idf() -> None:
    rng = random.Random(8)
    for _ in range(50):
        corpus = random_corpus(rng)
        model = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
        model.index(corpus, show_progress=False)
        query = sorted(set(rng.choices(WORDS, k=4)))
        known = [w for w in query if w in model.vocab_dict]
        found = scorer(corpus).search(query, len(corpus))
        expected = model.get_scores(known) if known else np.zeros(len(corpus))
        # bm25s leaves out the constant factor k1 + 1, which changes no ranking.
        np.testing.assert_allclose(found.scores, 2.5 * expected[found.ids], rtol=1e-4)


def test_with_its_own_idf_rank_bm25_orders_the_same_where_that_idf_is_usable() -> None:
    # One query term in few of many rows: there both idf are positive, and a single term's ranking does not depend on idf.
    rng = random.Random(9)
    for _ in range(200):
        corpus = [
            ["x"] * rng.randint(1, 5) + rng.choices(WORDS, k=rng.randint(3, 20)) if i < 4 else rng.choices(WORDS, k=9)
            for i in range(20)
        ]
        expected = BM25Okapi(corpus).get_scores(["x"])
        found = scorer(corpus).search(["x"], 20)
        np.testing.assert_allclose(
            found.scores / found.scores[0], expected[found.ids] / expected[found.ids[0]], rtol=2e-5
        )


def test_disallowed_rows_change_no_score() -> None:
    rng = random.Random(10)
    for _ in range(300):
        corpus = random_corpus(rng)
        allowed = np.array([rng.random() < 0.4 for _ in corpus])
        visible = [c for c, a in zip(corpus, allowed, strict=True) if a]
        query = rng.choices(WORDS, k=3)
        found = scorer(corpus, [len(corpus) // 2] if len(corpus) > 1 else [], allowed).search(query, 50)
        alone = scorer(visible).search(query, 50) if visible else None
        assert alone is not None or not len(found)
        if alone is not None:
            assert found.scores.tolist() == alone.scores.tolist()  # bit for bit: no side channel
            assert found.ids.tolist() == np.flatnonzero(allowed)[alone.ids].tolist()


def test_score_by_hand() -> None:
    # N=2, n=1: idf = ln(1 + 1.5/1.5) = ln 2; average length 1.5; row 0: tf=1, |d|=2
    found = scorer([["a", "b"], ["c"]]).search(["a"], 5)
    assert found.ids.tolist() == [0]
    assert found.scores[0] == pytest.approx(math.log(2) * 2.5 / (1 + 1.5 * (0.25 + 0.75 * 2 / 1.5)), rel=1e-6)


def test_word_in_every_row_still_counts() -> None:
    assert len(scorer([["a"], ["a"], ["a", "b"]]).search(["a"], 5)) == 3


def test_weights_scale_a_term() -> None:
    found = scorer([["a"], ["b"], ["c"]]).search({"a": 1.0, "b": 2.0, "c": 0.0}, 5)
    assert found.ids.tolist() == [1, 0]
    assert found.scores[0] == pytest.approx(2 * found.scores[1])


def test_ties_break_by_id_also_at_the_cut() -> None:
    found = scorer([["a"]] * 50, cuts=[20, 30]).search(["a"], 7)
    assert found.ids.tolist() == list(range(7))


def test_scores_of_given_rows_are_those_of_the_search() -> None:
    corpus = random_corpus(random.Random(3))
    s = scorer(corpus, [len(corpus) // 3])
    found = s.search(["w1", "w2"], 100)
    np.testing.assert_allclose(s.scores(["w1", "w2"], found.ids), found.scores, rtol=1e-6)
    assert s.scores(["w1"], np.array([10_000])).tolist() == [0.0]


def test_nothing_allowed_or_unknown_words_find_nothing() -> None:
    assert len(scorer([["a"]], allowed=np.array([False])).search(["a"], 5)) == 0
    assert len(scorer([["a"]]).search(["zzz" * 50, ""], 5)) == 0
    assert len(scorer([[]]).search(["a"], 5)) == 0


def test_merging_equals_building_at_once() -> None:
    rng = random.Random(11)
    for _ in range(200):
        corpus = random_corpus(rng)
        cut = rng.randint(0, len(corpus))
        parts = [p for p in (corpus[:cut], corpus[cut:]) if p]
        keep = [np.array([rng.random() < 0.7 for _ in p]) for p in parts]
        if not any(k.any() for k in keep):
            continue
        merged = postings.merge([postings.build(p) for p in parts], keep)
        rows = [row for p, k in zip(parts, keep, strict=True) for row, kept in zip(p, k, strict=True) if kept]
        built = postings.build(rows)
        for name, array in built.arrays().items():
            np.testing.assert_array_equal(merged.arrays()[name], array, err_msg=name)


def test_a_document_repeating_a_word_more_often_than_16_bits_hold() -> None:
    built = postings.build([["a"] * 70_000, ["a"]])
    assert built.slice(0)[1].tolist() == [70_000, 1]
