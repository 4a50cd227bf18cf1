"""A whole cycle that is decided here and trained on a machine of one's own, from the command that a person types."""

from __future__ import annotations

import shutil

import pytest

from tests.aams.lanes import runner_hub
from tests.e2e.hub import NAME

pytestmark = [
    pytest.mark.hub,
    pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed"),
]


def test_a_laptop_has_its_cycle_trained_elsewhere_and_leaves_nothing_there(github_emulator, lab, tmp_path, monkeypatch):
    if runner_hub.why_not(github_emulator):
        pytest.skip(runner_hub.why_not(github_emulator))
    with runner_hub.RunnerHub(github_emulator, tmp_path / "hub") as hub:
        for name, value in hub.environment("eve").items():
            monkeypatch.setenv(name, value)
        said = lab.cycle(3, "--children", "1", "--lane", "runner", status=1)
        assert "github: can't POST /releases; got 403" in said and hub.site.runs(NAME) == ()
        for name, value in hub.environment().items():
            monkeypatch.setenv(name, value)
        ended = lab.cycle(3, "--children", "1", "--lane", "runner")
        assert ended["cycle"] in hub.site.runs(NAME)[0].title, "the same cycle went on"
        assert {run.conclusion for run in hub.site.runs(NAME)} == {"success"}
        assert not list(hub.place.repo("ann").get_releases())
        assert hub.environment()["AAMS_GITHUB_TOKEN"] not in said + "".join(run.log for run in hub.site.runs(NAME))
    assert len(lab.entries("trained")) >= 2
    lab.verify()
