"""The benchmarks' machinery on tiny inputs; nothing here looks at a clock."""

from __future__ import annotations

import json
import math
import runpy
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def load(name: str) -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name=name))


@pytest.fixture(scope="module")
def speed() -> SimpleNamespace:
    return load("compiled_speed")


@pytest.fixture(scope="module")
def to_loss() -> SimpleNamespace:
    return load("time_to_loss")


def fill(model: torch.nn.Module, by_hand: torch.nn.Module) -> None:
    """Give both models the same weights, by their order."""
    with torch.no_grad():
        for theirs, ours in zip(by_hand.parameters(), model.parameters(), strict=True):
            ours.copy_(torch.randn_like(ours) * 0.1)
            theirs.copy_(ours)


def test_the_hand_written_gpt_computes_what_the_compiled_baseline_does(speed: SimpleNamespace) -> None:
    interface = speed.replace(speed.active_interface("language"), vocabulary=speed.VOCABULARY)
    model, by_hand = speed.compiled(speed.baseline("language"), interface), speed.HandWritten()
    fill(model, by_hand)
    tokens = torch.randint(speed.VOCABULARY, (2, speed.CONTEXT))
    torch.testing.assert_close(model(tokens), by_hand(tokens), rtol=1e-4, atol=1e-4)


def test_the_hand_written_resnet_computes_what_the_compiled_baseline_does(speed: SimpleNamespace) -> None:
    interface = speed.active_interface("vision")
    tree = speed.baseline("vision")
    model, by_hand = speed.compiled(tree, interface), speed.HandResNet(tree["model"], interface)
    fill(model, by_hand)
    images = torch.randn(4, interface.channels, interface.height, interface.width)
    torch.testing.assert_close(model(images), by_hand(images), rtol=1e-4, atol=1e-4)


def test_every_contestant_takes_a_turn_in_every_round(speed: SimpleNamespace) -> None:
    turns: list[str] = []
    steps = {name: lambda name=name: turns.append(name) for name in ("ours", "theirs")}
    seconds = speed.take_turns(steps, rounds=2)
    assert [len(spent) for spent in seconds.values()] == [2, 2]
    assert turns.count("ours") == turns.count("theirs") == 1 + 2 * speed.STEPS_PER_TURN
    assert turns[2] == "theirs"
    assert turns[-1] == "theirs"


def test_a_baseline_that_has_changed_is_not_raced(speed: SimpleNamespace) -> None:
    with pytest.raises(SystemExit, match="has changed"):
        speed.same(torch.nn.Linear(2, 2), torch.nn.Linear(2, 3))


def test_characters_are_numbered_in_their_order(to_loss: SimpleNamespace) -> None:
    assert to_loss.characters("cab").tolist() == [2, 0, 1]


@pytest.mark.parametrize("length", [2, 65, 200, 64 * 64 + 2])
def test_every_character_but_the_first_is_predicted_once(to_loss: SimpleNamespace, length: int) -> None:
    class Uniform(torch.nn.Module):
        seen = 0

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            assert tokens.shape[1] <= to_loss.CONTEXT
            self.seen += tokens.numel()
            return torch.zeros(*tokens.shape, 5)

    model = Uniform()
    nats = to_loss.loss_on(model, torch.randint(5, (length,)))
    assert model.seen == length - 1
    assert nats == pytest.approx(math.log(5))


def test_a_short_race_is_told_in_a_table(to_loss: SimpleNamespace) -> None:
    tokens = to_loss.characters("to be, or not to be: that is the question. " * 60)
    result = to_loss.measure(tokens, steps=4)
    assert [point["step"] for point in result["checkpoints"]] == [2, 4]
    assert result["nanogpt_cpu_s"] > 0
    reached = {**result, "reached": result["checkpoints"][-1], "ratio": 3.0}
    assert "3.00x as fast as nanoGPT" in to_loss.table(reached)
    assert "never reached" in to_loss.table({**result, "reached": None})


def test_what_is_outside_training_is_the_rest_of_the_cycle() -> None:
    row = {"domain": "vision", "outcome": "accepted", "wall_s": 45.0}
    assert load("cycle_overhead").take_apart(row, wall_s=50.0)["share_outside"] == pytest.approx(0.1)


def test_a_bundle_is_measured_against_trainings_one_by_one() -> None:
    throughput = load("session_throughput")
    one = throughput.Repetition(
        bundle_s=10.0,
        naive_s=40.0,
        full_flops=100,
        used_flops=47,
        best_bits=3.0,
        chosen_bits=3.0,
        control_bits=(3.25, 3.5),
    )
    worse = replace(one, bundle_s=20.0, chosen_bits=3.5, control_bits=(3.25, 3.5))
    result = throughput.sum_up("language", 8, [one, worse])
    assert (result["ratio"], result["candidates_per_hour"]) == pytest.approx((80 / 30, 8 * 2 * 120))
    assert result["saved"] == pytest.approx(0.53)
    assert result["as_good"] == 1
    assert "1 of 2" in throughput.table(result)


def test_the_same_children_are_trained_both_ways() -> None:
    throughput = load("session_throughput")
    with tempfile.TemporaryDirectory() as cache:
        prepared = throughput.prepare("language", cache=Path(cache))
    contract = throughput.load_contract(throughput.ROOT / throughput.CONTRACT_PATH)
    found = throughput.repeat(throughput.Setting("language", 2 * 10**9, contract, prepared), 2, seed=1)
    assert found.used_flops < found.full_flops
    assert found.best_bits <= found.chosen_bits < 8
    assert len(found.control_bits) == 2


def test_start_up_is_measured_for_every_command() -> None:
    startup = load("startup")
    assert [line.what for line in startup.over_bare_python(rounds=1)] == list(startup.COMMANDS)
    assert startup.estimates("hybrid", count=1, rounds=1).value > 0


NAMES = [
    "compiled_speed",
    "cycle_overhead",
    "lane_overhead",
    "ray_scaling",
    "session_throughput",
    "startup",
    "time_to_loss",
]


def test_ray_is_measured_against_the_local_lane() -> None:
    scaling = load("ray_scaling")
    seconds = {("local", 1): 40.0, ("local", 2): 25.0, ("ray", 1): 48.0, ("ray", 2): 32.0}
    result = scaling.sum_up("language", 8, [scaling.Session(*key, 1.0, rest, 32.0) for key, rest in seconds.items()])
    found = {lane: (own["task_overhead_s"], own["efficiency"]) for lane, own in result["lanes"].items()}
    assert found == {"local": pytest.approx((1.0, 0.8)), "ray": pytest.approx((2.0, 0.75))}
    assert result["relative_efficiency"] == pytest.approx(0.9375)
    assert "0.94" in scaling.table(result)


def test_a_lanes_start_is_held_against_the_local_one_and_a_bare_trainer() -> None:
    overhead = load("lane_overhead")
    seconds = {overhead.BARE: (2.0, 4.0), overhead.LOCAL: (3.0, 5.0), "elsewhere": (12.0, 10.0)}
    starts = [overhead.Start(name, first[turn], 20.0) for turn in range(2) for name, first in seconds.items()]
    result = overhead.sum_up("language", starts, ["another: not installed"])
    assert result["lanes"]["elsewhere"] == {"first_s": 11.0, "heard_s": 20.0, "over_local": 3.0, "over_bare": 4.25}
    assert result["ratio"] == pytest.approx((3 / 2 + 5 / 4) / 2)
    assert "skipped another: not installed" in overhead.table(result)


def test_the_first_step_of_a_short_bundle_is_heard(tmp_path: Path) -> None:
    overhead = load("lane_overhead")
    contract = overhead.load_contract(overhead.ROOT / overhead.CONTRACT_PATH)
    archive = overhead.made(tmp_path, "language", contract)
    local = overhead.through("local", lambda place: overhead.Local(place, contract), archive)
    assert [one.first_s == one.heard_s > 0 for one in (overhead.bare(archive), local)] == [True, True]


def test_the_page_is_measured_with_a_history_that_goes_on() -> None:
    made = load("made/page_data")
    ledger, rows = made.history(400)
    attempts = [row["generation"] for row in rows if row["generation"]]
    assert sum(len(row["children"]) for row in rows) >= 400
    assert 8 <= len(rows) / len(attempts) <= 12
    assert len({row["cycle"] for row in rows}) == len(rows)
    assert attempts == [f"G{number:03d}" for number in range(len(attempts))]
    champions = {row["generation"] for row in rows if row["outcome"] == "accepted"}
    assert {row["parent"] for row in rows[1:]} <= champions
    files = made.compiled(ledger, rows)
    columns = json.loads(files["data/columns-0000.json"])
    assert len(columns["cycles"]["id"]) == len(rows)
    assert json.loads(files["metrics.json"])["totals"]["language"]["attempts"] == len(attempts)


def test_the_page_is_held_to_its_targets_at_the_largest_history_only() -> None:
    dashboard = load("dashboard")
    lines = [
        dashboard.Line("page", 1_000, "home", 9.0, 1, 0.0),
        dashboard.Line("page", 100_000, "home", 1.6, 6_000_000, 150.0),
        dashboard.Line("page", 100_000, "lineage", 2.0, 100, 201.0),
        dashboard.Line("peer", 100_000, "plot", 8.0, 100, 0.0),
        dashboard.Line("peer", 100_000, "list", None, 100, 0.0),
    ]
    small, home, lineage, plot, late = dashboard.table(lines, "").splitlines()[1:]
    assert "target" not in small
    assert home.endswith("0.20x        1.5 s missed, 5 MB missed, 200 ms met")
    assert lineage.endswith("0.25x        3 s met, 5 MB met, 200 ms missed")
    assert plot.endswith("8.00    0.00          0")
    assert "> 60" in late


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_tells_how_it_is_used(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        load(name).main()
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_without_a_corpus_the_reason_is_printed(
    to_loss: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["time_to_loss", "--json"])
    to_loss.main()
    assert "--corpus PATH" in json.loads(capsys.readouterr().out)["skipped"]
