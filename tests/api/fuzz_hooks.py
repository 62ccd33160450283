"""What schemathesis cannot know of the interface: how a filter is written, and what a form can say."""

from __future__ import annotations

from datetime import date
from typing import Any

import schemathesis
from hypothesis import strategies as st

_words = st.from_regex(r"[A-Za-z0-9_./*]{1,12}", fullmatch=True)
_condition = st.one_of(
    st.builds("{}={}".format, st.sampled_from(["path", "title", "lang", "type", "author", "document"]), _words),
    st.builds(
        "date{}{:%Y-%m-%d}".format, st.sampled_from([">=", "<=", "=", ">", "<"]), st.dates(min_value=date(1000, 1, 1))
    ),
)
schemathesis.openapi.format("filter", st.lists(_condition, max_size=4).map(" ".join))


@schemathesis.hook
def filter_body(context: schemathesis.HookContext, body: Any) -> bool:
    """A part of a form is bytes, whatever is in it: an object "instead of a file" is a file with JSON in it, and rightly taken."""
    if context.operation is None or context.operation.path != "/documents" or not isinstance(body, dict):
        return True
    return all(isinstance(value, str | bytes) for value in body.values())
