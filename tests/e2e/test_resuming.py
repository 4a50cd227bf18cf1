"""What a killed command left half done is brought to its end by whichever command comes next, once."""

from __future__ import annotations

import json
import shutil

import pytest

needs_keys = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")


@pytest.fixture
def approved(waiting_lab, tmp_path):
    """The same lab, approved by a command that was killed before it closed the cycle."""
    lab = waiting_lab.copy(tmp_path / "lab")
    lab.aams("approve", "G001")
    forget(lab, "closed")
    (lab.path / "specs" / "language" / "HEAD").unlink()
    return lab


def forget(lab, event):
    """Take the newest entry back, as if the command that wrote it had been killed just before."""
    newest = max(lab.path.glob("logs/cycles/*/*.json"), key=lambda path: path.stat().st_mtime_ns)
    assert newest.name.endswith(f"-{event}.json")
    newest.unlink()
    for view in [*lab.path.glob("logs/*.*"), *lab.path.glob("docs/*.json"), *lab.path.glob("docs/data/*.json")]:
        view.unlink()


def names(lab):
    return sorted(path.relative_to(lab.path).as_posix() for path in lab.path.glob("logs/cycles/*/*.json"))


@pytest.mark.parametrize("lost", [("frozen",), ("frozen", "proposed")], ids=["frozen", "proposed"])
def test_a_proposal_that_never_froze_goes_on_with_the_same_command(lab, lost):
    ask = ("propose", "--seed", "31", "--children", "1", "--json")
    first, entries = json.loads(lab.aams(*ask)), names(lab)
    for event in lost:
        forget(lab, event)
    shutil.rmtree(lab.path / ".aams" / "work")
    again = json.loads(lab.aams(*ask))
    assert (again["cycle"], names(lab)) == (first["cycle"], entries)
    lab.aams("abandon", again["cycle"])
    lab.verify()


def test_a_proposal_that_never_froze_gives_way_to_another_request(lab):
    first = json.loads(lab.aams("propose", "--seed", "31", "--children", "1", "--json"))
    forget(lab, "frozen")
    other = json.loads(lab.aams("propose", "--seed", "32", "--children", "1", "--json"))
    assert other["cycle"] != first["cycle"]
    assert lab.entries("closed")[-1]["cycle"] == first["cycle"]
    lab.aams("abandon", other["cycle"])
    lab.verify()


@needs_keys
@pytest.mark.parametrize("by", ["approve", "abandon", "run_cycle"])
def test_an_approval_that_was_never_closed_is_closed_as_accepted(approved, by):
    lab, cycle = approved, approved.entries("approved")[-1]["cycle"]
    assert "has its second key already" in lab.aams("decline", "G001", status=1)
    if by == "run_cycle":
        lab.cycle(9, "--children", "1")
    else:
        lab.aams(by, "G001" if by == "approve" else cycle)
    assert next(one["facts"]["outcome"] for one in lab.entries("closed") if one["cycle"] == cycle) == "accepted"
    assert lab.head() == "G001"
    assert len(lab.entries("approved")) == 2, "that of the root, and one more"
    lab.verify()


@needs_keys
@pytest.mark.parametrize("lost", ["closed", "approved", "recalled"])
def test_a_rollback_goes_on_with_the_same_command(waiting_lab, tmp_path, lost):
    lab = waiting_lab.copy(tmp_path / "lab")
    lab.aams("approve", "G001")
    ask = ("rollback", "--to", "G000", "--reason", "a drill")
    lab.aams(*ask)
    entries = names(lab)
    events = ("closed", "approved", "recalled")
    for event in events[: events.index(lost) + 1]:
        forget(lab, event)
    lab.aams(*ask)
    assert (names(lab), lab.head()) == (entries, "G000")
    lab.verify()
