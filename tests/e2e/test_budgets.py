"""What is spent is gone: a cycle whose month, or whose time, runs out under way ends, and nothing is overdrawn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pytest

from safety.clock import utc_now
from safety.events import Attempted, Frozen, Opened
from safety.ledger import append, next_entry, read_ledger


def month_left(lab):
    return json.loads(lab.aams("status", "--json"))["month_left"]


def take_from_month(lab, left):
    """Another domain's root takes what there is of the month, but so much."""
    reserved = month_left(lab) - left
    opened = Opened(0, "mutate-champion", "propose", "", "cluttered-digits", "0" * 64, "")
    frozen = Frozen("root", 0, "1" * 64, "2" * 64, 4, reserved, None)
    for facts in (opened, Attempted("G000", ""), frozen):
        entry = next_entry(list(read_ledger(lab.path)), "vision-0123456789ab", facts, "vision", "3" * 64, utc_now())
        append(lab.path, entry)


def train(lab, cycle, bundle):
    """What a lane elsewhere would do; gives the folder of its results."""
    work = lab.path / ".aams" / "work" / cycle / bundle
    with zipfile.ZipFile(next(work.glob("*.zip"))) as archive:
        archive.extractall(work / "by-hand")
    command = [sys.executable, "-P", "-m", "trainer", str(work / "by-hand"), str(work / "results")]
    environment = {**os.environ, "PYTHONPATH": str(work / "by-hand")}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return work / "results"


def ingest(lab, cycle, results):
    return json.loads(lab.aams("ingest", cycle, str(results), "--json"))


@pytest.fixture(scope="module")
def tried_lab(lab_with_root, tmp_path_factory):
    """A lab whose trial is trained: its better child will want more than one batch of pairs. Never changed."""
    lab = lab_with_root.copy(tmp_path_factory.mktemp("tried") / "lab")
    lab.contract(alpha=0.001, pairs_min=2)
    told = json.loads(lab.aams("propose", "--seed", "3", "--spec", lab.better_child(), "--json"))
    return SimpleNamespace(lab=lab, cycle=told["cycle"], results=train(lab, told["cycle"], "trial-0"))


@pytest.fixture(scope="module")
def attempted_lab(tried_lab, tmp_path_factory):
    """The same with its first pairs trained. Never changed."""
    lab = tried_lab.lab.copy(tmp_path_factory.mktemp("attempted") / "lab")
    told = ingest(lab, tried_lab.cycle, lab.path / tried_lab.results.relative_to(tried_lab.lab.path))
    assert told["stage"] == "attempt"
    return SimpleNamespace(lab=lab, cycle=tried_lab.cycle, results=train(lab, tried_lab.cycle, "attempt-0"))


@pytest.fixture
def tried(tried_lab, tmp_path):
    return copied(tried_lab, tmp_path)


@pytest.fixture
def attempted(attempted_lab, tmp_path):
    return copied(attempted_lab, tmp_path)


def copied(one, path):
    lab = one.lab.copy(path / "lab")
    return SimpleNamespace(lab=lab, cycle=one.cycle, results=lab.path / one.results.relative_to(one.lab.path))


def claim_time(results, wall_s):
    path = results / "results.json"
    told = json.loads(path.read_bytes())
    told["timing"]["wall_s"] = wall_s
    path.write_text(json.dumps(told))


def is_rejected(one, told, reason):
    assert (told["outcome"], told["generation"], one.lab.head()) == ("rejected", "G001", "G000")
    assert reason in told["reason"]
    directory = next((one.lab.path / "specs" / "history" / "language").glob("G001-*"))
    assert reason in (directory / "STATUS").read_text()
    assert month_left(one.lab) >= 0
    one.lab.verify()


def test_a_child_without_compute_for_all_of_its_pairs_is_not_attempted(tried):
    take_from_month(tried.lab, left=2 * 8 * (1_250_000_000 // 20) - 1)
    told = ingest(tried.lab, tried.cycle, tried.results)
    assert (told["outcome"], told["generation"]) == ("explored", "")
    assert "the month's compute is spoken for" in told["reason"]
    assert len(tried.lab.entries("attempted")) == 2, "the root's, and that of the other domain"
    assert month_left(tried.lab) >= 0


def test_an_attempt_that_wants_more_than_is_left_of_the_month_is_undecided(attempted):
    take_from_month(attempted.lab, left=0)
    told = ingest(attempted.lab, attempted.cycle, attempted.results)
    is_rejected(attempted, told, "No more pairs can be trained: the month's compute is spoken for, ")
    assert "Undecided after 2 pairs" in told["reason"]


def test_an_attempt_whose_next_pairs_would_take_too_long_is_undecided(attempted):
    claim_time(attempted.results, 1801.0)
    told = ingest(attempted.lab, attempted.cycle, attempted.results)
    is_rejected(attempted, told, "No more pairs can be trained: 1,801 s of the budget's 3,600 s are gone")


def test_an_attempt_in_time_gets_its_next_pairs(attempted):
    claim_time(attempted.results, 1800.0)
    told = ingest(attempted.lab, attempted.cycle, attempted.results)
    assert told["stage"] == "attempt"
    assert attempted.lab.entries("frozen")[-1]["facts"]["batch"] == 1


def test_an_attempt_that_took_longer_than_the_budget_broke_a_law(attempted):
    claim_time(attempted.results, 3600.5)
    told = ingest(attempted.lab, attempted.cycle, attempted.results)
    is_rejected(attempted, told, "Its bundles took 3,600.5 s, and 3,600 s is the limit for all of them")
    assert attempted.lab.entries("looked")[-1]["cycle"] != attempted.cycle, "the holdout was not asked"
    (criterion,) = told["criteria"]
    assert (criterion["name"], criterion["value"], criterion["passed"]) == ("law_violations", 1, False)
