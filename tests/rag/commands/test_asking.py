"""What `rag ask` leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from rag.commands.asking import _note_gap
from rag.settings import Settings
from rag.storage.ledger import Ledger
from rag.types import Answer, Timings
from rag.wiring import Services


@pytest.mark.parametrize(("status", "noted"), [("abstained", ["When is lunch?"]), ("answered", [])])
def test_a_refused_question_is_queued_as_a_gap_and_an_answered_one_is_not(
    tmp_path: Path, status: Literal["answered", "abstained"], noted: list[str]
) -> None:
    answer = Answer("When is lunch?", status, "", (), (), (), Timings(), "scripted", 1)
    with Services(Settings(home=tmp_path, collection="staff")) as services:
        _note_gap(services, answer)
    with Ledger(tmp_path) as ledger:
        assert [g.question for g in ledger.gaps() if g.collection == "staff"] == noted
