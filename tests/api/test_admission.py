"""The queue in front of the model and the breaker around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from api.admission import Admission, Breaker, BreakerOpen
from rag.errors import Busy


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_the_first_goes_in_the_next_waits_and_one_more_is_refused() -> None:
    async def test() -> None:
        admission = Admission(slots=1, waiting=1)
        first, second = admission.enter("a"), admission.enter("a")
        assert (first.position, second.position) == (0, 1)
        with pytest.raises(Busy) as refused:
            admission.enter("a")
        assert refused.value.retry_after >= 1
        first.leave()
        assert second.turn.done()

    run(test)


def test_keys_take_turns() -> None:
    async def test() -> None:
        admission = Admission(slots=1, waiting=10)
        running = admission.enter("busy")
        flood = [admission.enter("flood") for _ in range(3)]
        other = admission.enter("other")
        assert [t.position for t in (*flood, other)] == [1, 3, 4, 2]
        running.leave()
        assert flood[0].turn.done()
        flood[0].leave()
        assert other.turn.done()
        assert not flood[1].turn.done()

    run(test)


def test_leaving_the_queue_frees_the_place() -> None:
    async def test() -> None:
        admission = Admission(slots=1, waiting=1)
        admission.enter("a")
        waiting = admission.enter("a")
        waiting.leave()
        waiting.leave()
        assert admission.waiting == 0
        admission.enter("a")

    run(test)


def test_the_estimate_follows_how_long_answers_took() -> None:
    async def test() -> None:
        clock = Clock()
        admission = Admission(slots=2, waiting=5, clock=clock)
        for _ in range(60):
            ticket = admission.enter("a")
            clock.now += 10
            ticket.leave()
        # 10 seconds an answer, two at a time: the third in the queue waits 15 seconds.
        assert admission.estimate(3) == pytest.approx(15, rel=0.01)

    run(test)


def test_nonsense_is_refused_at_construction() -> None:
    with pytest.raises(ValueError, match="slots must be at least 1"):
        Admission(slots=0, waiting=1)


def test_the_breaker_opens_after_three_failures_and_lets_one_try() -> None:
    clock = Clock()
    breaker = Breaker(failures=3, cooldown=5, clock=clock)
    for _ in range(2):
        breaker.failed()
    breaker.check()
    breaker.failed()
    with pytest.raises(BreakerOpen) as open_:
        breaker.check()
    assert open_.value.retry_after == 5
    clock.now = 5
    breaker.check()  # the one that tries
    with pytest.raises(BreakerOpen):
        breaker.check()
    breaker.succeeded()
    breaker.check()
    assert not breaker.open


def test_one_good_answer_forgives() -> None:
    breaker = Breaker(failures=2)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.check()
