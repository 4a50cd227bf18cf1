"""A whole cycle by pull request whose muscle is at Kaggle: the real client, an emulated site, sessions that run."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.conftest import BETTER

needs_keys = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
pytestmark = [needs_keys, pytest.mark.hub]
MOST_BUNDLES = 6


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


def test_a_wish_is_trained_at_kaggle_and_becomes_champion(hub, kaggle):
    def sessions():
        return [one["what"] for one in hub.aams("sessions")["done"]]

    wish = hub.wish({"specs/language/candidates/better.yaml": BETTER})
    hub.pull(wish.number).add_to_labels("lane: kaggle")
    hub.propose()
    proposal, _ = hub.proposal()
    assert "lane: kaggle" in [label.name for label in proposal.labels]
    assert hub.receive() == [], "no runner is asked to train it"
    kaggle.fail_next("SaveKernel", 502, carried_out=True)
    for _ in range(MOST_BUNDLES):
        assert "is on its way to Kaggle" in sessions()[0]
        kaggle.wait_for_sessions()
        assert "came from Kaggle" in sessions()[0]
        assert sessions() == [] and len(kaggle.site.kernels) == 1, "nobody has taken them in yet"
        assert "dispatch_kaggle.yml" in hub.receive()[0]["wakes"]
        assert sessions() == [] and kaggle.site.kernels == {} and kaggle.site.datasets == {}, "nothing is left there"
        if "goes on" not in hub.arbitrate()[-1]["what"]:
            break
        hub.receive()
    proposal, _ = hub.proposal()
    assert "promotion" in [label.name for label in proposal.labels]
    hub.pull(proposal.number).create_review(event="APPROVE")
    hub.promote()
    assert hub.head() == "G001"
    hub.verify()


def test_a_proposal_that_is_closed_leaves_no_session_behind(hub, kaggle):
    wish = hub.wish({"specs/language/candidates/better.yaml": BETTER})
    hub.pull(wish.number).add_to_labels("lane: kaggle")
    hub.propose()
    proposal, _ = hub.proposal()
    hub.aams("sessions")
    hub.pull(proposal.number).edit(state="closed")
    hub.aams("sessions")
    assert (kaggle.site.kernels, kaggle.site.datasets) == ({}, {})
