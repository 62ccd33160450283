"""Texts with ids become documents through the same cutting and embedding as files."""

from __future__ import annotations

from ingest.records import Record, ingest_records
from tests.ingest.toy import ToyServices

RECORDS = [
    Record("p1", "Pumps", "The seal is replaced every 900 hours."),
    Record("p2", "", "第一条 为了规范管理，制定本办法。", date="2024-05-01"),
    Record("p3", "Only a title", ""),
    Record("p4", "", " "),
]


def test_records_are_documents_named_by_their_ids(services: ToyServices) -> None:
    report = ingest_records(RECORDS, services)
    assert report.added == ("p1", "p2", "p3") and [s.path for s in report.skipped] == ["p4"]
    snapshot = services.collection().snapshot()
    found = {i.path: i for i in snapshot.documents(None)}
    assert found["p1"].title == "Pumps" and found["p2"].date == "2024-05-01" and found["p2"].language == "zh"
    assert [c.text for c in snapshot.document_chunks(found["p1"].document)] == ["The seal is replaced every 900 hours."]
    assert [c.text for c in snapshot.document_chunks(found["p3"].document)] == ["Only a title"]


def test_a_second_time_only_what_changed_is_embedded(services: ToyServices) -> None:
    ingest_records(RECORDS, services)
    again = ingest_records([*RECORDS[:1], Record("p2", "", "第二条 适用于全体员工。")], services)
    assert (again.unchanged, again.updated, again.embedded) == (1, ("p2",), 1)


def test_equal_texts_are_embedded_once_and_never_marked_as_copies(services: ToyServices) -> None:
    text = "The same long passage stands in two places of the corpus, word for word, and both must be found by their ids when asked for."
    report = ingest_records([Record("a", "T", text), Record("b", "T", text)], services)
    assert report.embedded == 1 and report.chunks == 2
    assert [i.superseded_by for i in services.collection().snapshot().documents(None)] == [None, None]


def test_markdown_is_read_as_such_and_other_text_word_for_word(services: ToyServices) -> None:
    marked = Record("m", "Travel", "You may\n[book rail](https://example.org/what-if-i-book-rail) or:\n\n- [fly](/fly)")
    plain = Record("p", "Sums", "2 * 3 * 4 = 24 and a_b_c\n# no heading: 5 < 6 > 4 [1] (see below)")
    ingest_records([marked, plain], services)
    snapshot = services.collection().snapshot()
    texts = {i.path: [c.text for c in snapshot.document_chunks(i.document)] for i in snapshot.documents(None)}
    assert texts["m"] == ["You may book rail or:\n\n- fly"]
    assert texts["p"] == ["2 * 3 * 4 = 24 and a_b_c\n# no heading: 5 < 6 > 4 [1] (see below)"]
