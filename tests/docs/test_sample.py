"""The committed sample is the view of a real campaign, and a lab without a history shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aams import views
from aams.strict import read_json
from aams.views.columns import columns_of

DOCS = Path(__file__).parents[2] / "docs"


def read(name: str) -> Any:
    return read_json((DOCS / name).read_bytes(), name, 1 << 26)


def test_the_committed_sample_is_the_view_of_a_campaign_in_all_three_domains() -> None:
    data = read("metrics.sample.json")
    assert set(data["champions"]) == {"language", "vision", "hybrid"}
    assert {row["outcome"] for row in data["rows"].values()} >= {"accepted", "rejected", "screened-out"}
    rows = [row for name in data["shards"] for row in read(name)]
    assert [row["cycle"] for row in rows][::-1][: len(data["newest"])] == data["newest"]
    assert [read(name) for name in data["columns"]] == [columns_of(rows)]
    assert set(data) == set(read_json(views.compile_views(())[views.METRICS], "metrics.json"))
    for row in rows:
        if row.get("directory"):
            assert (DOCS / "sample" / "history" / row["domain"] / row["directory"] / "spec.yaml").is_file()


@pytest.mark.parametrize("view", ["home", "lineage", "fitness", "pareto", "fields", "operators", "ledger"])
def test_a_lab_without_history_shows_the_committed_sample(
    reader_of: Any, new_site: Callable[[], Any], view: str
) -> None:
    site = new_site().publish(())
    for name in ("metrics.sample.json", "sample"):
        (site.folder / name).symlink_to(DOCS / name)
    reader = reader_of(site)
    reader.go(view)
    assert reader.page.get_by_text("Sample: this lab has not run a cycle yet").is_visible()
    assert reader.page.locator("main .notice").count() == 0
    assert reader.wrong == []
