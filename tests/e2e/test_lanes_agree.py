"""Where a bundle is trained changes nothing that is decided."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.hub


@pytest.fixture
def kaggle(kaggle_emulator, tmp_path, monkeypatch):
    """ann's account, in the environment of the commands."""
    pytest.importorskip("kagglesdk")
    if kaggle_emulator.why_not():
        pytest.skip(kaggle_emulator.why_not())
    with kaggle_emulator.KaggleEmulator(tmp_path / "kaggle") as site:
        for name, value in site.environment("ann").items():
            monkeypatch.setenv(name, value)
        yield site


@pytest.mark.parametrize("elsewhere", ["kaggle"])
def test_the_same_seed_comes_to_the_same_decision_in_every_lane(lab, tmp_path, request, elsewhere):
    request.getfixturevalue(elsewhere)
    other = lab.copy(tmp_path / "other")
    asked = (3, "--spec", lab.better_child(), "--children", "1")
    here, there = lab.cycle(*asked), other.cycle(*asked, "--lane", elsewhere)
    assert here["outcome"] == there["outcome"] == "accepted"
    assert here["look"] == there["look"]
    assert [one["facts"]["weights"] for one in lab.entries("trained")] == [
        one["facts"]["weights"] for one in other.entries("trained")
    ]
    other.verify()
