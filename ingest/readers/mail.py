"""Mails (.eml) and mailboxes (.mbox) by the standard library: headers that matter, the body, attachments as documents of their own."""

from __future__ import annotations

import email
import email.policy
import io
import re
from collections.abc import Iterator
from email.message import EmailMessage, Message
from email.utils import parsedate_to_datetime

from ingest.parsed import Parsed, Skip, Source, TextBuilder, Unread, Unreadable
from ingest.readers.html import add_html
from ingest.readers.text import add_paragraphs

_HEADERS = (("From", "From"), ("To", "To"), ("Cc", "Cc"), ("Date", "Date"))
_MAX_PARTS = 500


def read(source: Source) -> Iterator[Parsed | Unread]:
    """One document a mail (of a mailbox: members "0001 Subject.eml"), then one or more an attachment. Raises Unreadable for what is no mail."""
    data = source.bytes()
    if source.name.lower().endswith(".mbox"):
        yield from _mailbox(data, source)
        return
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    if not message.keys():
        raise Unreadable("not a mail: it has no headers")
    builder = TextBuilder(source.limits)
    subject = _header(message, "Subject") or source.name.rsplit(".", 1)[0]
    builder.heading(subject, 1)
    builder.block(
        "paragraph", "\n".join(f"{label}: {text}" for label, name in _HEADERS if (text := _header(message, name)))
    )
    attachments: list[tuple[str, bytes]] = []
    _body(builder, message, attachments)
    yield builder.build("mail", subject, author=_header(message, "From"), date=_date(message))
    assert source.read_member is not None
    for number, (name, content) in enumerate(attachments, 1):
        yield from source.read_member(
            re.sub(r"[/\\\x00-\x1f]", "_", name) or f"attachment-{number}", io.BytesIO(content), len(content)
        )


def _body(builder: TextBuilder, message: EmailMessage, attachments: list[tuple[str, bytes]]) -> None:
    """The text of a mail; of alternatives the plain one. Attachments are collected."""
    plain: list[str] = []
    marked_up: list[str] = []
    for number, part in enumerate(message.walk()):
        if number > _MAX_PARTS:
            raise Unreadable(f"more than {_MAX_PARTS} parts")
        if part.is_multipart() and part.get_content_type() != "message/rfc822":
            continue
        name = part.get_filename()
        kind = part.get_content_type()
        if kind.startswith("image/") and part["Content-ID"]:
            continue  # a logo or signature inside the text
        if name or part.get_content_disposition() == "attachment":
            attachments.append((name or "attachment", _payload(part)))
        elif kind == "text/plain":
            plain.append(_text(part))
        elif kind == "text/html":
            marked_up.append(_text(part))
    if "".join(plain).strip():
        add_paragraphs(builder, "\n\n".join(plain))
    else:
        for html in marked_up:
            add_html(builder, html)


def _text(part: EmailMessage) -> str:
    from ingest.encodings import decode

    try:
        return decode(_payload(part), declared=part.get_content_charset())
    except Unreadable:
        return ""


def _payload(part: EmailMessage) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        return inner[0].as_bytes() if isinstance(inner, list) and inner and isinstance(inner[0], Message) else b""
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _header(message: EmailMessage, name: str) -> str | None:
    """A header, decoded, on one line; None when it is missing or broken beyond the parser."""
    try:
        return " ".join(str(message[name]).split())[:500] if message[name] else None
    except (ValueError, IndexError, TypeError, AttributeError, LookupError):
        return None


def _date(message: EmailMessage) -> str | None:
    try:
        return parsedate_to_datetime(_header(message, "Date") or "").date().isoformat()
    except (ValueError, TypeError, IndexError):
        return None


def _mailbox(data: bytes, source: Source) -> Iterator[Parsed | Unread]:
    starts = [0] if data.startswith(b"From ") else []
    starts += [m.start() + 1 for m in re.finditer(rb"\nFrom ", data)]
    if not starts:
        raise Skip("no mail in it")
    assert source.read_member is not None
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(data)], strict=True), 1):
        mail = re.sub(rb"(?m)^>(>*From )", rb"\1", data[start:end].split(b"\n", 1)[-1])
        subject = _header(email.message_from_bytes(mail[:20_000], policy=email.policy.default), "Subject") or ""
        name = re.sub(r"[^\w\u4e00-\u9fff -]", "_", subject)[:60].strip()
        yield from source.read_member(f"{number:04d} {name}".strip() + ".eml", io.BytesIO(mail), len(mail))
