"""Sixteen children come to the same decision in every lane, through the command line, to the last bit.

On one machine nothing is tolerated: weights, validation, rungs, scores and the e-value are equal. Another kind of
machine trains other bytes, which is why a fingerprint of the environment is on record; measurements at a rung are
compared to 3 decimals, scores on the holdout to the contract's `holdout_step`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.aams.lanes import ray_cluster
from tests.proofs.kills import standing

pytestmark = pytest.mark.proof
ASKED = ("aams.run_cycle", "--seed", "9", "--children", "16", "--json")


@dataclass(frozen=True)
class Cycle:
    """What one command came to: its answer, what is on record, and the seconds it took."""

    told: dict[str, Any]
    standing: dict[str, Any]
    wall_s: float


def play(lab: Any, place: Path, lane: str) -> Cycle:
    copy = lab.copy(place / lane)
    began = time.monotonic()
    told = json.loads(copy.run(*ASKED, "--lane", lane))
    wall_s = time.monotonic() - began
    copy.verify()
    return Cycle(told, standing(copy.path, told["cycle"]), wall_s)


@pytest.fixture(scope="module")
def here(lab_with_root: Any, tmp_path_factory: pytest.TempPathFactory) -> Cycle:
    return play(lab_with_root, tmp_path_factory.mktemp("here"), "local")


@pytest.fixture
def kaggle(kaggle_emulator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """ann's account, in the environment of the commands."""
    pytest.importorskip("kagglesdk")
    if kaggle_emulator.why_not():
        pytest.skip(kaggle_emulator.why_not())
    with kaggle_emulator.KaggleEmulator(tmp_path / "site") as site:
        for name, value in site.environment("ann").items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster of two nodes."""
    if ray_cluster.why_not():
        pytest.skip(ray_cluster.why_not())
    with ray_cluster.RayCluster(1, 1) as cluster:
        for name, value in cluster.environment().items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.parametrize("lane", ["ray", "kaggle"])
def test_sixteen_children_come_to_one_decision_in_every_lane(
    lane: str, here: Cycle, lab_with_root: Any, tmp_path: Path, request: pytest.FixtureRequest, figure: Any
) -> None:
    request.getfixturevalue(lane)
    there = play(lab_with_root, tmp_path, lane)
    assert there.standing == here.standing
    record = zip(here.standing["events"], here.standing["facts"], strict=True)
    trained = [facts for event, facts in record if event == "trained"]
    assert sum(run["arm"] == "child" for run in trained[0]["runs"]) == 16
    assert len({run["steps"] for run in trained[0]["runs"]}) > 1, "some were dropped at a rung"
    weights = sum(len(facts["weights"]) for facts in trained)
    figure(
        f"lanes agree, {lane}",
        f"16 children, {here.told['outcome']}, {weights} weights and all evidence equal to the last bit; "
        f"{there.wall_s:.0f} s, locally {here.wall_s:.0f} s",
    )
