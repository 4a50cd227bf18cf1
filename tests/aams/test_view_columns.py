"""The columns that charts are drawn from: as the rows say, and equally long."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aams.cycle.lab import baseline
from aams.views import compile_views
from aams.views.columns import outline
from domains import DOMAINS

WORDS = st.sampled_from(["op", "blocks", "repeat", "width", "optimizer"]) | st.text(max_size=12)
TREES = st.recursive(
    st.integers() | st.booleans() | st.none() | WORDS,
    lambda inner: st.lists(st.dictionaries(WORDS, inner, max_size=3), max_size=3) | st.dictionaries(WORDS, inner),
    max_leaves=12,
)


def test_columns_are_equally_long_and_say_what_the_rows_say(tell: Any, read: Any) -> None:
    views = compile_views(tell.first_and(tell.whole_cycle("G001"), tell.nothing_tried(1, "G001")))
    (name,) = read.json(views["docs/metrics.json"])["columns"]
    columns, rows = read.json(views[f"docs/{name}"]), read.rows(views)
    cycles, children, words = columns["cycles"], columns["children"], columns["words"]
    assert {len(values) for values in cycles.values()} == {len(rows)}
    assert {len(values) for values in (*children.values(), *columns["genes"].values())} == {
        sum(len(row["children"]) for row in rows)
    }
    for at, row in enumerate(rows):
        assert (cycles["id"][at], cycles["generation"][at]) == (row["cycle"], row["generation"])
        assert words["outcome"][cycles["outcome"][at]] == row["outcome"]
        assert cycles["e_value"][at] == (row.get("look") or {}).get("e_value")
    assert [cycles["id"][at] for at in children["cycle"]] == [row["cycle"] for row in rows for _ in row["children"]]
    assert columns["genes"] == {"width": [192]}


def test_an_outline_tells_the_baselines_apart() -> None:
    found = {name: outline(baseline(name).tree) for name in DOMAINS}
    assert found["language"]["mixer"] == "attention" and found["language"]["depth"] == 2
    assert found["vision"]["width"] == 32 and found["vision"]["block"] == "basic"
    assert found["hybrid"]["language.depth"] == found["hybrid"]["vision.depth"] == 2
    assert all(one["optimizer"] == "muon" for one in found.values())


@given(st.dictionaries(st.sampled_from(["model", "training"]), st.dictionaries(WORDS, TREES)))
def test_an_outline_is_flat_whatever_the_tree(tree: dict[str, Any]) -> None:
    assert all(isinstance(value, int | float | str) for value in outline(tree).values())
    json.dumps(outline(tree), allow_nan=False)
