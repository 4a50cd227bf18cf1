"""What the page says is what the ledger says."""

from __future__ import annotations

from typing import Any

import pytest


def test_the_overview_tells_of_the_champion_what_the_ledger_does(reader: Any) -> None:
    reader.go()
    card = reader.page.locator("article", has_text="language · G004").first
    said = " ".join(card.inner_text().split())
    assert "61.4 %" in said  # 0.6135
    assert "About +3.1 points over the baseline G000. The baseline scored 50.0 % on its own part" in said
    assert "against G000: +3.1 points, 95 % interval +1.2 to +5.1, from 8 pairs of trainings." in said
    assert "Evidence 4,320 : 1; 250 : 1 was needed." in said
    assert "G000 → G004" in said
    assert "The baseline: nothing has been proven better yet." in reader.text  # of vision


def test_the_overview_counts_what_the_ledger_holds(reader: Any, site: Any) -> None:
    reader.go()
    said = reader.text
    assert "attempts, promoted 4, 1" in said
    assert "attempts, promoted 0, 0" in said
    assert "placebos let through 0 of 1" in said
    assert "language/G002, because recall fell below its floor" in said
    entries = len(site.story.whole())
    assert f"{entries} ledger entries" in reader.page.locator("footer").inner_text()


def test_an_experiment_shows_its_criteria_its_evidence_and_its_keys(reader: Any) -> None:
    reader.go("experiment/language-8")
    rows = reader.page.get_by_role("region", name="Criteria of the contract").locator("tbody tr")
    assert [row.split("\t")[1:] for row in rows.all_inner_texts()] == [
        ["4,321", "at least 250", "✓ holds"],
        ["0.8125", "at least 0.75", "✓ holds"],
    ]
    said = reader.text
    assert "Over 8 pairs of trainings with fresh seeds it scored +3.1 points" in said
    assert "95 % interval +1.2 to +5.1)" in said
    assert "the scores are 61.4 % against 58.0 %" in said
    assert "4,320 : 1; attempt 4 of this lineage needed 250 : 1" in said
    assert "ann-propose" in said
    assert "ann-verdict" in said
    assert "SHA256:propose" in said
    assert "Room for 72 features" in said


def test_a_screened_out_cycle_says_what_its_best_child_was_to_beat(reader: Any) -> None:
    reader.go("experiment/language-3")
    said = reader.text
    assert "screened-out" in said
    assert "50.0 % on validation" in said
    assert "by 5.0 points" in said
    children = reader.page.get_by_role("region", name="Children of this cycle").locator("tbody tr")
    assert [row.split("\t")[1:4] for row in children.all_inner_texts()] == [
        ["Widen to 72", "53.0\u00a0%", "+3.0"],
        ["Widen to 96", "52.0\u00a0%", "+2.0"],
        ["Widen to 120", "51.0\u00a0%", "+1.0"],
    ]


def test_the_curves_of_an_attempt_are_those_of_its_childs_trial(reader: Any) -> None:
    reader.go("experiment/language-8")
    label = reader.page.locator("svg[aria-label^='Training loss']").get_attribute("aria-label")
    assert label.startswith("Training loss of 1 runs of the child"), "as what its attempt measured is not on record"


@pytest.mark.parametrize(("cycle", "words"), [("language-5", "A placebo."), ("language-7", "A rollback")])
def test_cycles_of_other_kinds_say_what_they_are(reader: Any, cycle: str, words: str) -> None:
    reader.go(f"experiment/{cycle}")
    assert words in reader.text
    assert reader.wrong == []


def test_a_comparison_lays_experiments_side_by_side(reader: Any) -> None:
    reader.go("compare?ids=language-4,language-8")
    said = reader.text
    assert "G002" in said
    assert "G004" in said
    assert "61.4 %" in said
    assert reader.wrong == []
