"""A workflow's job may be killed at any time: whoever runs it again goes on, and nothing is lost or done twice."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.conftest import BETTER
from tests.e2e.hub import APP

needs_keys = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
pytestmark = [needs_keys, pytest.mark.hub]
MOST_WRITES, MOST_BUNDLES = 40, 8


def writes_until_it_ends(hub, command, key=""):
    """Kill a command after its first write, run it again and kill it after its second, until it comes to its end."""
    app = ("--app", str(APP)) if command in ("arbitrate", "promote") else ()
    return next(after for after in range(1, MOST_WRITES) if not hub.killed(command, *app, key=key, after=after))


def test_every_step_may_be_killed_after_any_of_its_writes_and_is_then_run_again(hub):
    hub.wish({"specs/language/candidates/better.yaml": BETTER})
    tries = [writes_until_it_ends(hub, "propose", "propose")]
    for _ in range(MOST_BUNDLES):
        proposal, cycle = hub.proposal()
        if "promotion" in [label.name for label in proposal.labels]:
            break
        hub.train(cycle)
        for command, key in (("receive", "propose"), ("arbitrate", ""), ("receive", "propose")):
            tries.append(writes_until_it_ends(hub, command, key))
    hub.pull(proposal.number).create_review(event="APPROVE")
    tries.append(writes_until_it_ends(hub, "promote", "verdict"))
    assert max(tries) > 3, tries
    assert (hub.head(), hub.promote(), hub.receive(), hub.arbitrate()) == ("G001", [], [], [])
    clone = hub.verify()
    assert len(list(clone.glob("logs/cycles/*/*-approved.json"))) == 2
    assert [one.tag_name for one in hub.repo("ann").get_releases()] == ["generation/language/G001"]
    assert not [one for one in hub.repo("ann").get_pulls() if one.head.ref.startswith("aams/")]
