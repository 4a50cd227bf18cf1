"""The repository runs itself: proposals, results, verdicts and promotions by pull request, and nothing gets in else."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.e2e.conftest import BETTER
from tests.e2e.hub import Hub

needs_keys = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
pytestmark = [needs_keys, pytest.mark.hub]
WISH = "specs/language/candidates/better.yaml"


def newest(clone, event):
    """What the newest entry of an event says."""
    found = [json.loads(path.read_text()) for path in clone.glob(f"logs/cycles/*/*-{event}.json")]
    return max(found, key=lambda entry: entry["time"])["facts"]


@pytest.fixture
def hub(github_emulator, lab, tmp_path):
    pytest.importorskip("github")
    with github_emulator.GitHubEmulator(tmp_path / "site", actions=False) as site:
        made = Hub(site, lab, tmp_path)
        yield made
        made.close()


def test_a_forks_wish_is_trained_judged_approved_and_becomes_champion(hub):
    wish = hub.wish({WISH: BETTER}, who="eve")
    assert len(hub.propose()["pull_requests"]) == 1, hub.comments(wish.number)
    proposal, _ = hub.proposal()
    assert proposal.draft and f"#{wish.number} by `eve`" in proposal.body
    assert "train" not in [label.name for label in hub.pull(wish.number).labels]
    said = hub.to_verdict()
    assert "accepted" in said[-1]["what"]
    assert hub.promote() == [], "nobody approved it yet"
    proposal, _ = hub.proposal()
    assert not proposal.draft and hub.head() == "G000"
    hub.pull(proposal.number).create_review(event="APPROVE")
    done = [one["what"] for one in hub.promote()]
    assert done[0] == "language/G001 is merged" and "G001 is champion, by ann" in done[1]
    assert hub.head() == "G001"
    clone = hub.verify()
    assert hub.pull(wish.number).state == "closed"
    assert hub.promote() == [], "what is done is done once"
    approved, verdict = newest(clone, "approved"), newest(clone, "verdict")
    assert (approved["review"]["login"], approved["review"]["proposed_by"]) == ("ann", "eve")
    tag = hub.repo("ann").get_git_ref("tags/generation/language/G001").object
    assert (tag.type, tag.sha) == ("tag", approved["review"]["tag"])
    (weights,) = hub.repo("ann").get_release("generation/language/G001").get_assets()
    assert weights.name == f"{verdict['weights']}.safetensors"
    assert [one.tag_name for one in hub.repo("ann").get_releases()] == ["generation/language/G001"], "evidence is gone"
