"""A cycle that was killed between its verdict and what it reveals gets out of there, whatever changed meanwhile."""

from __future__ import annotations

import json
import shutil
import time

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
GONE = "what it was sealed with is gone"


@pytest.fixture
def killed(waiting_lab, tmp_path):
    """G001 has its verdict, and nothing after it is on record."""
    lab = waiting_lab.copy(tmp_path / "lab")
    for path in lab.path.glob("logs/cycles/*/*-revealed.json"):
        path.unlink()
    return lab


def cycle_of(lab):
    return lab.entries("verdict")[-1]["cycle"]


def forget(lab, monkeypatch):
    """Take away all that could reveal it."""
    kept = list(lab.path.glob(".aams/work/*/sealed.json"))
    assert len(kept) == 1
    kept[0].unlink()
    monkeypatch.setenv("AAMS_ARBITER_SECRET", "another")


@pytest.mark.parametrize("change", ["rate", "secret", "rate without the folder"])
@pytest.mark.parametrize("command", ["approve", "decline", "abandon", "heartbeat"])
def test_what_was_sealed_is_revealed_as_it_was(killed, monkeypatch, change, command):
    if change == "secret":
        monkeypatch.setenv("AAMS_ARBITER_SECRET", "another")
    else:
        killed.contract(placebo_rate=1)
    if change == "rate without the folder":
        next(killed.path.glob(".aams/work/*/sealed.json")).unlink()
    if command == "heartbeat":
        killed.contract(verify_s=1)
        time.sleep(2.1)
        told = json.loads(killed.aams("heartbeat", "--domain", "language", "--json"))["beats"][0]
        assert told["outcome"] == "expired"
    elif command == "approve" and change != "secret":
        assert "contract: changed after the freeze" in killed.aams("approve", "G001", status=1)
    else:
        told = json.loads(killed.aams(command, cycle_of(killed) if command == "abandon" else "G001", "--json"))
        assert told["outcome"] == ("accepted" if command == "approve" else "declined")
    assert killed.head() == ("G001" if (command, change) == ("approve", "secret") else "G000")
    assert killed.entries("revealed")[-1]["facts"]["placebo"] is False
    killed.verify()


@pytest.mark.parametrize("command", ["abandon", "heartbeat"])
def test_what_can_not_be_revealed_any_more_is_closed_and_never_accepted(killed, monkeypatch, command):
    forget(killed, monkeypatch)
    for second_key in ("approve", "decline"):
        complaint = killed.aams(second_key, "G001", status=1)
        assert GONE in complaint and f"aams abandon {cycle_of(killed)}" in complaint
    if command == "heartbeat":
        killed.contract(verify_s=1)
        time.sleep(2.1)
        told = json.loads(killed.aams("heartbeat", "--domain", "language", "--json"))["beats"][0]
    else:
        told = json.loads(killed.aams("abandon", cycle_of(killed), "--json"))
    assert (told["outcome"], killed.head()) == ("expired", "G000")
    assert GONE in told["reason"]
    assert killed.entries("revealed") == []
    killed.verify()


def test_a_seal_that_was_tampered_with_reveals_nothing(killed, monkeypatch):
    kept = next(killed.path.glob(".aams/work/*/sealed.json"))
    kept.write_text(kept.read_text().replace('"placebo":false', '"placebo":true'))
    monkeypatch.setenv("AAMS_ARBITER_SECRET", "another")
    assert GONE in killed.aams("approve", "G001", status=1)
    kept.write_text("{")
    assert GONE in killed.aams("approve", "G001", status=1)
    monkeypatch.delenv("AAMS_ARBITER_SECRET")
    assert json.loads(killed.aams("approve", "G001", "--json"))["outcome"] == "accepted", "it can be drawn again"
    killed.verify()
