"""What schemathesis cannot know of the interface: how a filter is written."""

from __future__ import annotations

from datetime import date

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
