"""What the Ray lane owes beside: a lost node loses nothing, a bundle has one kind of node, and nothing is left over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aams.errors import LaneError
from aams.lanes import LANES, train
from aams.lanes.ray import Ray
from aams.records import Run, Rung
from safety.contract import CONTRACT_PATH, load_contract
from tests.aams.lanes.bundles import SPEC, packed, scripted
from tests.aams.lanes.ray_cluster import RayCluster, why_not
from tests.aams.lanes.test_local_lane import read_loosely, running

pytestmark = [pytest.mark.hub, pytest.mark.skipif(bool(why_not()), reason=why_not())]
CONTRACT = load_contract(Path(__file__).parents[3] / CONTRACT_PATH)
STEPS = 24000
RUNS = [
    Run("control-0", "control", 0, SPEC, 20, STEPS),
    *(Run(f"child-{n}", "child", n, SPEC, 21 + n, STEPS) for n in range(3)),
]
Start = Callable[..., RayCluster]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a cluster, one node for each number of CPUs, and lets the lane find it."""
    clusters: list[RayCluster] = []

    def begin(*cpus: int) -> RayCluster:
        clusters.append(RayCluster(*cpus))
        for name, value in clusters[-1].environment().items():
            monkeypatch.setenv(name, value)
        return clusters[-1]

    yield begin
    for cluster in clusters:
        cluster.close()


def without_timing(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: without_timing(value) for key, value in data.items() if key != "timing"}
    return [without_timing(value) for value in data] if isinstance(data, list) else data


def contents(returned: Path) -> dict[str, Any]:
    """Everything that must be equal between two equal trainings."""
    weights = {path.name: path.read_bytes() for path in returned.glob("*.safetensors")}
    return {**weights, "results": without_timing(json.loads((returned / "results.json").read_bytes()))}


def test_a_node_that_is_killed_in_the_middle_loses_nothing(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, _ = packed(tmp_path, runs=RUNS, rungs=[Rung(50, 1)])
    local = train(LANES["local"](tmp_path / "local", CONTRACT), archive, tmp_path / "unused", lambda event: None)
    monkeypatch.setattr(Ray, "CHECKPOINT_S", 0.3)
    cluster, place = start(1, 1), tmp_path / "ray"
    told: list[Mapping[str, Any]] = []
    lost: list[int] = []

    def hear(event: Mapping[str, Any]) -> None:
        told.append(event)
        last = [one["run"] for one in told[-3:] if one["event"] == "step" and one["step"] < 0.4 * STEPS]
        by_turns = len(last) == 3 and last[0] == last[2] != last[1]  # so both nodes are busy
        if not lost and by_turns and all((place / "out" / f"{run}.checkpoint").exists() for run in last):
            cluster.lose(1)
            lost.append(len(told))

    returned = train(LANES["ray"](place, CONTRACT), archive, tmp_path / "unused", hear)
    assert lost and "lost its worker" in (place / "trainer.log").read_text()
    assert contents(returned) == contents(local)
    for run in RUNS:
        own = [event for event in told if event.get("run") == run.name]
        assert [event["event"] for event in own].count("done") == 1 and own[-1]["event"] == "done"
        steps = [event["step"] for event in own if event["event"] == "step"]
        assert steps.count(min(steps)) == 1, "it began once, and went on from a checkpoint"


def test_the_time_is_that_of_all_tasks_together(start: Start, tmp_path: Path) -> None:
    """On one node they wait for each other, and each alone would be in time."""
    start(1)
    archive, _ = packed(tmp_path, runs=RUNS, wall_s=8)
    began = time.monotonic()
    returned = train(LANES["ray"](tmp_path / "ray", CONTRACT), archive, tmp_path / "unused", lambda event: None)
    assert time.monotonic() - began < 120
    results = json.loads((returned / "results.json").read_bytes())
    ended = [(run["status"], run["reason"]) for run in results["runs"]]
    assert ended.count(("stopped", "wall_s")) >= 2 and set(ended) <= {("stopped", "wall_s"), ("finished", "")}
    assert results["timing"]["wall_s"] > 8


def test_what_finished_is_not_trained_again_by_another_session(start: Start, tmp_path: Path) -> None:
    start(2)
    archive, _ = packed(tmp_path)
    before = contents(train(LANES["ray"](tmp_path, CONTRACT), archive, tmp_path / "unused", lambda event: None))
    (tmp_path / "out" / "results.json").unlink()
    (tmp_path / "out" / "control-0.safetensors").unlink()
    told: list[Mapping[str, Any]] = []
    again = train(LANES["ray"](tmp_path, CONTRACT), archive, tmp_path / "unused", told.append)
    assert {event["run"] for event in told if event["event"] == "step"} == {"control-0"}
    assert contents(again) == before


def test_a_session_that_is_cancelled_leaves_no_trainer_at_a_node(start: Start, tmp_path: Path) -> None:
    cluster = start(1)
    source = "print(json.dumps({'event': 'start', 'runs': 2, 'steps': 6}), flush=True)\ntime.sleep(600)"
    seen: list[bool] = []

    def interrupt(event: Mapping[str, Any]) -> None:
        seen.append(is_training(cluster))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(LANES["ray"](tmp_path, CONTRACT), scripted(tmp_path, source), tmp_path / "unused", interrupt)
    deadline = time.monotonic() + 30
    while is_training(cluster) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert seen == [True] and not is_training(cluster)


def is_training(cluster: RayCluster) -> bool:
    """Whether a trainer runs at a node."""
    commands = [read_loosely(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    return any(f"{cluster.place}/node-" in command and "\0trainer\0" in command for command in commands)


def test_all_runs_of_a_bundle_are_trained_on_one_kind_of_node(start: Start, tmp_path: Path) -> None:
    start(1, 1)
    source = (
        "kind = 'one' if '/node-0/' in sys.argv[2] else 'other'\n"
        "wanted, only = sys.argv[sys.argv.index('--fingerprint') + 1], sys.argv[sys.argv.index('--only') + 1:]\n"
        "ended = {path.stem: path.read_text() for path in out.glob('c*.json')}\n"
        "if wanted not in ('', kind):\n    sys.exit(3)\n"
        "if only:\n    time.sleep(2)\n    (out / f'{only[0]}.json').write_text(kind)\n"
        "elif len(ended) == 2:\n    (out / 'results.json').write_text(json.dumps(ended))\n"
        "else:\n    print(json.dumps({'event': 'next', 'runs': ['child-0', 'control-0'], 'fingerprint': kind}))\n"
    )
    archive = scripted(tmp_path, source)
    returned = train(LANES["ray"](tmp_path, CONTRACT), archive, tmp_path / "unused", lambda event: None)
    kinds = json.loads((returned / "results.json").read_bytes())
    assert kinds["child-0"] == kinds["control-0"]
    assert "a node is of another kind, and is not used" in (tmp_path / "trainer.log").read_text()


def test_without_an_address_a_cluster_is_started_here_and_ends_with_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AAMS_RAY_ADDRESS", raising=False)
    before = set(Path("/tmp").glob("aams-ray-*"))  # noqa: S108 where its sockets have short names
    archive = scripted(tmp_path, "(out / 'results.json').write_text(json.dumps([dict(os.environ), sys.argv]))")
    monkeypatch.setenv("KAGGLE_KEY", "secret-7351")
    returned = train(LANES["ray"](tmp_path, CONTRACT), archive, tmp_path / "unused", lambda event: None)
    seen = (returned / "results.json").read_text()
    assert "secret-7351" not in seen and "RAY_" not in seen
    assert running(tmp_path) == []
    assert set(Path("/tmp").glob("aams-ray-*")) <= before  # noqa: S108


def test_a_cluster_that_does_not_answer_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AAMS_RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(LaneError, match="no cluster answers at AAMS_RAY_ADDRESS"):
        train(LANES["ray"](tmp_path, CONTRACT), packed(tmp_path)[0], tmp_path / "unused", lambda event: None)


def test_no_secret_but_the_clusters_own_reaches_the_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret-7351")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the cluster's")
    _, environment = Ray(tmp_path, CONTRACT).command(tmp_path / "bundle.zip", tmp_path / "out")
    assert "secret-7351" not in environment.values()
    assert "the cluster's" in environment.values()
