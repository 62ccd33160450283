"""Every format: what must be found in it and what must not."""

from __future__ import annotations

import io
import json
from zipfile import ZipInfo

import pytest

from ingest.packages import safe_name
from ingest.parsed import Limits, Parsed, Unread
from tests.ingest.samples import blocks, docx, epub, mail, pdf, pptx, read, read_one, reason, xlsx, zip_of

MARKDOWN = """---
title: Leave policy
date: 2026-03-01
owner: Head of People
---
# Leave

Every *full-time* employee has **23 days**, see [travel](travel.md).

- first
- second
  1. nested

| Grade | Days |
| --- | --- |
| A | 23 |

```python
def leave():
    return 23
```
"""


def test_markdown_gives_blocks_without_marks_and_facts_from_its_front_matter() -> None:
    found = read_one("leave.md", MARKDOWN.encode())
    assert (found.title, found.date, found.author) == ("Leave policy", "2026-03-01", "Head of People")
    assert blocks(found) == [
        ("heading", "Leave"),
        ("paragraph", "Every full-time employee has 23 days, see travel."),
        ("list", "- first\n- second\n1. nested"),
        ("table", "| Grade | Days |\n| --- | --- |\n| A | 23 |"),
        ("code", "def leave():\n    return 23"),
    ]


def test_markdown_of_a_site_generator_keeps_the_words_of_its_tags_and_no_addresses() -> None:
    found = read_one(
        "guide.md",
        b"""# Guide

{% alert "Since May 2026" %}
Book [flights or rail]({% page "/travel/faq/#how-to-book" %}) first; ask in {% channel "people-ops" %},
see [the list]({{ site.url }}/list "List") and ![map]({% image "/a.png" %}).
{% endalert %}

{% comment %}
The old limit of 900 is not shown.
{% endcomment %}

- [Get a
  card]({{< ref "card.md" >}})

Write `{% page "/x/" %}` for a link:

```
[a]({% page "/x/" %}) {{ name }}
```
""",
    )
    assert blocks(found)[1:] == [
        ("paragraph", "Since May 2026 Book flights or rail first; ask in people-ops, see the list and map."),
        ("list", "- Get a card"),
        ("paragraph", 'Write {% page "/x/" %} for a link:'),
        ("code", '[a]({% page "/x/" %}) {{ name }}'),
    ]


def test_a_title_in_front_matter_loses_its_tags_and_keeps_its_signs() -> None:
    found = read_one(
        "travel.md", b"---\ntitle: Set up <em>before</em> day 1, with x < 5 and y > 3\n---\nText of the page."
    )
    assert found.title == "Set up before day 1, with x < 5 and y > 3"


HTML = """<html><head><title>Pump BW-310</title><script>var hidden=1</script><style>p{}</style></head><body><nav>Menu Home</nav>
<h1>Pump</h1><p>Head:   47
metres.</p><ul><li>one<li>two <b>bold</b></ul>
<table><tr><th>Code</th><th>Meaning</th></tr><tr><td>E-19</td><td>inlet blocked</td></tr></table>
<p style="display: none">invisible</p><div>Line<br>break</div></body></html>"""


def test_html_gives_visible_text_only() -> None:
    found = read_one("pump.html", HTML.encode())
    assert found.title == "Pump BW-310"
    assert blocks(found) == [
        ("heading", "Pump"),
        ("paragraph", "Head: 47 metres."),
        ("list", "- one\n- two bold"),
        ("table", "| Code | Meaning |\n| --- | --- |\n| E-19 | inlet blocked |"),
        ("paragraph", "Line\nbreak"),
    ]


def test_plain_text_has_a_title_headings_and_whole_paragraphs() -> None:
    text = "TRAVEL POLICY\nVersion 5\n\n1. Hotels\n\nThe nightly limit in Oslo is 2,150 kroner, and\nbreakfast is always included in this limit.\n"
    found = read_one("travel.txt", text.encode())
    assert found.title == "TRAVEL POLICY"
    assert blocks(found) == [
        ("heading", "TRAVEL POLICY"),
        ("paragraph", "Version 5"),
        ("heading", "1. Hotels"),
        ("paragraph", "The nightly limit in Oslo is 2,150 kroner, and breakfast is always included in this limit."),
    ]


def test_word_documents_keep_headings_and_tables() -> None:
    data = docx(
        title="Deposit",
        headings=["Terms"],
        paragraphs=["The deposit is 6,600 dollars."],
        table=[["Part", "Price"], ["G-70", "13.85"]],
    )
    found = read_one("memo.docx", data)
    assert found.title == "Deposit"
    assert blocks(found) == [
        ("heading", "Terms"),
        ("paragraph", "The deposit is 6,600 dollars."),
        ("table", "| Part | Price |\n| --- | --- |\n| G-70 | 13.85 |"),
    ]


def test_word_notes_stand_after_their_paragraph_and_running_heads_once_at_the_end() -> None:
    import docx as word
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part
    from docx.oxml import parse_xml

    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    document = word.Document()
    paragraph = document.add_paragraph("The fee is due in May.")
    paragraph.add_run()._r.append(parse_xml(f'<w:footnoteReference {space} w:id="2"/>'))
    document.add_paragraph("Later text.")
    document.sections[0].header.paragraphs[0].text = "设备管理部内部文件"
    document.sections[0].footer.paragraphs[0].text = "7"
    notes = f'<w:footnotes {space}><w:footnote w:id="2"><w:p><w:r><w:t>Except in leap years.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    part = Part(PackURI("/word/footnotes.xml"), "application/xml", notes.encode(), document.part.package)
    document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
    held = io.BytesIO()
    document.save(held)
    found = read_one("memo.docx", held.getvalue())
    assert [line for line in found.text.splitlines() if line] == [
        "The fee is due in May.", "Except in leap years.", "Later text.", "设备管理部内部文件",
    ]  # fmt: skip


def test_workbooks_have_a_page_a_sheet_and_a_table_a_block_of_rows() -> None:
    data = xlsx(
        {
            "Prices": [["Price list 2026"], ["Part", "Price"], ["Gasket", 13.85], [None, None], ["Total", 3.0]],
            "Staff": [["Name", "Days"], ["Ana", 23]],
        }
    )
    found = read_one("prices.xlsx", data)
    assert [(p.number, p.label) for p in found.pages] == [(1, "sheet Prices"), (2, "sheet Staff")]
    assert ("table", "| Part | Price |\n| --- | --- |\n| Gasket | 13.85 |") in blocks(found)
    assert ("paragraph", "Price list 2026") in blocks(found)
    assert found.text[slice(*found.pages[1].span)].startswith("Staff")


def test_slides_are_pages_with_their_titles_as_headings() -> None:
    found = read_one("deck.pptx", pptx([("Goals", ["grow", "learn"]), ("Budget", ["4.2 million"])]))
    assert [p.label for p in found.pages] == ["slide", "slide"]
    assert blocks(found)[:2] == [("heading", "Goals"), ("list", "- grow\n- learn")]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_separated_values_are_a_table_whatever_separates_them(mark: str) -> None:
    found = read_one("depots.csv", f"city{mark}depot\nBergen{mark}depot 5\nTurku{mark}depot 8\n".encode())
    assert blocks(found) == [("table", "| city | depot |\n| --- | --- |\n| Bergen | depot 5 |\n| Turku | depot 8 |")]


def test_json_is_flattened_and_lists_of_objects_are_tables() -> None:
    found = read_one(
        "data.json",
        json.dumps(
            {"title": "Sensors", "limit": {"T-9": 88.50}, "rows": [{"id": 1, "v": None}, {"id": 2, "v": True}]}
        ).encode(),
    )
    assert found.title == "Sensors"
    assert ("list", "title: Sensors\nlimit.T-9: 88.5") in blocks(found)
    assert ("table", "| id | v |\n| --- | --- |\n| 1 | |\n| 2 | true |") in blocks(found)


def test_json_lines_are_read() -> None:
    found = read_one("log.jsonl", b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n')
    assert "| 2 | y |" in found.text


def test_a_mail_and_its_attachment_are_two_documents() -> None:
    data = mail(
        "Generator contract",
        "The number is GC-8841.",
        {"deposit.docx": docx(paragraphs=["The deposit is 6,600 dollars."])},
    )
    message, attachment = read("mail.eml", data)
    assert isinstance(message, Parsed) and isinstance(attachment, Parsed)
    assert (message.member, message.title, message.date) == ("", "Generator contract", "2026-05-04")
    assert "GC-8841" in message.text and "Ana <ana@example.com>" in message.text
    assert (attachment.member, attachment.type) == ("deposit.docx", "docx")


def test_of_a_mail_in_two_forms_the_plain_one_is_read() -> None:
    found = read_one("mail.eml", mail("S", "plain body", html="<p>marked-up body</p>"))
    assert "plain body" in found.text and "marked-up" not in found.text


def test_a_mailbox_gives_its_mails() -> None:
    box = b"".join(
        b"From x@example.com Mon May  4 10:00:00 2026\n" + mail(f"Subject {n}", f"Body number {n}.") + b"\n"
        for n in (1, 2)
    )
    found = read("team.mbox", box)
    assert [d.title for d in found if isinstance(d, Parsed)] == ["Subject 1", "Subject 2"]
    assert [d.member for d in found] == ["0001 Subject 1.eml", "0002 Subject 2.eml"]


def test_books_have_a_page_a_chapter() -> None:
    found = read_one(
        "novel.epub", epub({"one": "<h1>Start</h1><p>It was June.</p>", "two": "<p>It was July.</p>"}, "Summer")
    )
    assert (found.title, found.author, len(found.pages)) == ("Summer", "A. Writer", 2)
    assert found.text == "Start\n\nIt was June.\n\nIt was July."


def test_members_of_archives_are_documents_with_their_path() -> None:
    data = zip_of(
        {"inner/rules.md": "# Rules\n\nClosed at 21:40.", "b.zip": zip_of({"c.txt": "deep text"}), ".hidden": "no"}
    )
    found = read("archive.zip", data)
    assert [(d.member, isinstance(d, Parsed)) for d in found] == [("b.zip!/c.txt", True), ("inner/rules.md", True)]


def test_chinese_member_names_are_mended() -> None:
    entry = ZipInfo("合同.txt".encode("gb18030").decode("cp437"))  # as zipfile gives a name without the UTF-8 flag
    assert safe_name(entry) == "合同.txt"


def test_source_code_keeps_its_lines_and_names_its_functions() -> None:
    found = read_one("tool.py", b'import os\n\n\ndef retry_budget():\n    """Seconds."""\n    return 4711\n')
    assert blocks(found) == [
        ("code", "import os"),
        ("heading", "retry_budget"),
        ("code", 'def retry_budget():\n    """Seconds."""\n    return 4711'),
    ]


def test_pages_of_a_pdf_keep_their_numbers_and_headings() -> None:
    found = read_one(
        "report.pdf", pdf(["# Quarterly report", "Introduction."], ["The orchard yielded 318 tonnes of pears in 2025."])
    )
    assert found.title == "Quarterly report"
    assert [p.number for p in found.pages] == [1, 2]
    assert "318 tonnes" in found.text[slice(*found.pages[1].span)]
    assert ("heading", "Quarterly report") in blocks(found)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("broken.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 8, "not a readable PDF"),
        ("lies.pdf", b"PK\x03\x04", "not a PDF"),
        ("old.doc", b"\xd0\xcf\x11\xe0", "save it as docx"),
        ("locked.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "password"),
        ("noise.docx", b"\x93" * 500, "not a readable zip"),
        ("slides.rar", b"Rar!", "archive format"),
        ("nul.txt", b"\0" * 100, "not text"),
        ("deep.json", b"[" * 100_000, "nested too deeply"),
        ("empty.md", b"", "empty file"),
        ("unknown.xyz", b"\x01\x02", "not a known document type"),
        ("broken.json", b'{"a": ', "not valid JSON"),
    ],
)
def test_what_cannot_be_read_has_a_reason(name: str, data: bytes, words: str) -> None:
    assert words in reason(name, data)


def test_a_locked_pdf_says_that_it_needs_a_password() -> None:
    import io

    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(["secret"]))))
    writer.encrypt("pw", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    assert "password" in reason("locked.pdf", out.getvalue())


def test_bombs_are_refused_before_they_unpack() -> None:
    assert "bomb" in reason("zeros.docx", zip_of({"word/document.xml": b"\0" * 30_000_000, "[Content_Types].xml": "x"}))
    assert "entries" in reason("many.zip", zip_of({f"{n}.md": "x" for n in range(30)}), limits=Limits(entries=20))


def test_paths_out_of_an_archive_are_refused_and_the_rest_is_read() -> None:
    found = read("slip.zip", zip_of({"../../escaped.md": "escaped", "/abs.md": "abs", "ok.md": "fine"}))
    assert [d.text for d in found if isinstance(d, Parsed)] == ["fine"]
    assert {d.member for d in found if isinstance(d, Unread)} == {"../../escaped.md", "/abs.md"}


def test_archives_in_archives_end_somewhere() -> None:
    data = zip_of({"e.md": "deep"})
    for name in "dcba":
        data = zip_of({f"{name}.zip": data})
    (found,) = read("nested.zip", data)
    assert isinstance(found, Unread) and "deep" in found.reason
