"""What becomes of a champion at GitHub after its promotion: re-challenges, rollbacks, and who decides about them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.hub import APP, NAME, Hub

needs_keys = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
pytestmark = [needs_keys, pytest.mark.hub]
OFF_S = 0


def clock():
    """The site's: the machine's own, or so many seconds off."""
    return datetime.now(UTC) + timedelta(seconds=OFF_S)


@pytest.fixture
def hub(github_emulator, waiting_lab, tmp_path):
    """A repository whose champion, G001, would lose if it were tested again: its optimizer was spoiled since."""
    pytest.importorskip("github")
    lab = waiting_lab.copy(tmp_path / "lab")
    lab.aams("approve", "G001")
    optimizers = lab.path / "trainer" / "optimizers.py"
    text = optimizers.read_text()
    for old, new in (
        ("return Sgd(", "return AdamW(parameters, 0.01, 0.0, 0.9, 0.95)"),
        ("return Muon(", "return Sgd(parameters, 0.0, 0.0, 0.0)"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, f"{new}  # {old}")
    optimizers.write_text(text)
    with github_emulator.GitHubEmulator(tmp_path / "site", actions=False, clock=clock) as site:
        made = Hub(site, lab, tmp_path)
        yield made
        made.close()


def outcomes(clone):
    """How every cycle ended, oldest first."""
    found = [json.loads(path.read_text()) for path in clone.glob("logs/cycles/*/*-closed.json")]
    return [one["facts"]["outcome"] for one in sorted(found, key=lambda one: one["time"])]


def test_a_champion_that_is_outdone_is_proposed_for_rollback_and_an_owner_decides(hub):
    def rechallenge(*arguments):
        return hub.aams("rechallenge", *arguments, key="propose")["pull_requests"]

    assert rechallenge() == [], "it is too young"
    (first,) = rechallenge("--domain", "language", "--lane", "cuda")
    assert "lane: cuda" in [label.name for label in hub.pull(first).labels]
    assert hub.pull(first).title.startswith("language: re-challenge")
    assert rechallenge() == [], "one is open"
    assert "outdone, merged as a record" in hub.to_verdict()[-1]["what"]
    assert (hub.pull(first).merged, hub.head()) == (True, "G001")

    (second,) = rechallenge()
    assert hub.pull(second).title == "language: back to G000 from G001"
    assert "G001 lost its re-challenge" in hub.pull(second).body
    assert "G000 is proposed again and waits for an owner" in hub.arbitrate()[0]["what"]
    hub.promote()
    assert not hub.pull(second).draft and hub.head() == "G001"

    # An administrator goes round the rules: no key is given for that, until an approver has stood up for it.
    sha = hub.pull(second).head.sha
    (main,) = [one for one in hub.rulesets("ann") if one["name"] == "main"]
    hub.ask("ann", "PUT", f"/repos/{NAME}/rulesets/{main['id']}", enforcement="disabled")
    assert hub.pull(second).merge(sha=sha).merged
    hub.aams("setup", "--app", str(APP), "--apply", who="ann")
    assert "merged without an allowed person's approval" in hub.promote(status=1)[0]["what"]
    assert outcomes(hub.verify())[-1] == "outdone"
    hub.pull(second).create_review(event="APPROVE")
    assert any("G000 is champion, by ann" in one["what"] for one in hub.promote())
    assert (hub.head(), rechallenge(), hub.promote()) == ("G000", [], [])
    tags = [one.ref for one in hub.repo("ann").get_git_matching_refs("tags/generation/language/G000-recalled")]
    assert len(tags) == 1
    assert outcomes(hub.verify())[-2:] == ["outdone", "rolled-back"]


def test_a_persons_rollback_takes_an_owner_and_closing_it_declines_it(hub, monkeypatch):
    hostile = "@ann `${{ secrets.X }}` ![x](http://evil.example/x) <script>"
    asked = ("rollback", "--to", "G000", "--reason", hostile)
    monkeypatch.setitem(globals(), "OFF_S", 400)
    assert "this machine's clock is not GitHub's" in hub.aams(*asked, key="propose", status=1)
    monkeypatch.setitem(globals(), "OFF_S", 0)
    assert "can't be rolled back to" in hub.aams("rollback", "--to", "G007", "--reason", "-", key="propose", status=1)
    (number,) = hub.aams(*asked, key="propose")["pull_requests"]
    outside = [part for place, part in enumerate(hub.pull(number).body.split("```")) if place % 2 == 0]
    assert not any("@ann" in part or "evil" in part for part in outside)
    assert f"#{number}" in hub.aams(*asked, key="propose", status=1)
    hub.arbitrate()
    hub.pull(number).edit(state="closed")
    assert "declined, merged as a record" in hub.arbitrate()[0]["what"]
    hub.promote()
    assert (hub.head(), outcomes(hub.verify())[-1]) == ("G001", "declined")
