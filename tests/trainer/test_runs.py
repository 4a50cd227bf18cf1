from __future__ import annotations

import json
import math
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors

from trainer import children, results
from trainer.limits import TIMING
from trainer.runs import look_around

FORGED = """\
import json, os, sys
        frame = sys._getframe()
        while "pipe" not in frame.f_locals:
            frame = frame.f_back
        pipe = frame.f_locals["pipe"]
        pipe.send_bytes(json.dumps({{"event": "outcome", "outcome": {outcome}}}).encode())
        pipe.send_bytes(b"{{}}")
        os._exit(0)"""
LONGEST = {"status": "failed", "reason": "x" * 300}
HONEST = {
    "status": "finished",
    "reason": "",
    "steps": 20,
    "items": 80,
    "loss_first": 5.0,
    "loss_last": 1.0,
    "curve": [(step, 20.0 / step) for step in range(1, 21)],
    "validation": {"accuracy": 0.5, "bits": 2.0},
    "parameters": 2120,
    "law_violations": [],
    "timing": dict.fromkeys(TIMING, 1.0),
}
ONCE = "\n        self.count = getattr(self, 'count', 0) + 1\n        if self.count == 3: {code}"


HALF = """
        import os, sys, time
        frame = sys._getframe()
        while "pipe" not in frame.f_locals:
            frame = frame.f_back
        os.write(frame.f_locals["pipe"].fileno(), {start!r})
        time.sleep(3600)"""


@pytest.mark.parametrize(
    "start", [b"\0\0", (100).to_bytes(4, "big") + b"{", (-1).to_bytes(4, "big", signed=True) + b"\x7f" * 8]
)
def test_a_run_that_sends_half_a_message_fails_and_keeps_no_other_waiting(
    start: bytes,
    tmp_path: Path,
    write_bundle: Callable[..., Path],
    language_model: Callable[..., str],
    outcomes: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(children, "MESSAGE_S", 0.5)
    models = {"halves": language_model(on_forward=HALF.format(start=start)), "honest": language_model()}
    ended = outcomes(write_bundle(tmp_path, models, [(name, name, 20) for name in models]))
    assert (ended["halves"]["status"], ended["halves"]["reason"]) == (
        "failed",
        "the process sent what is not a message",
    )
    assert ended["honest"]["status"] == "finished"


@pytest.fixture(scope="module")
def zoo(
    tmp_path_factory: pytest.TempPathFactory,
    write_bundle: Callable[..., Path],
    language_model: Callable[..., str],
    outcomes: Callable[..., dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Runs that end in every way there is, side by side, within 3,680 tokens (an item has 16) and 600 MiB."""
    budget = resident_bytes() + (350 << 20)
    third_step = {
        "exits": "import os; os._exit(3)",
        "crashes": "import faulthandler; faulthandler.disable(); faulthandler._sigsegv()",
        "raises": "raise ValueError('lost\\nin many lines')",
        "hoards": "self.hoard = torch.ones(1 << 38)",
        "grows": f"self.hoard = torch.ones({(budget - (64 << 20)) // 4})",
        "explodes": "return self.head(self.embed(tokens)) * float('nan')",
        "babbles": 'print(\'{"event": "done"}\', flush=True)',
    }
    models = {name: language_model(on_forward=ONCE.format(code=code)) for name, code in third_step.items()}
    models["broken"] = "def"
    models["modelless"] = "import torch"
    models["honest"] = language_model()
    runs = [(name, name, 20) for name in models]
    runs += [("long", "honest", 61), ("twin", "honest", 20)]
    place = tmp_path_factory.mktemp("zoo")
    return outcomes(write_bundle(place, models, runs, items=230 * 16, memory_bytes=budget), workers=4)


def resident_bytes() -> int:
    """What this process holds: the runs are its forks, so they begin with as much."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("honest", "finished", ""),
        ("babbles", "finished", ""),
        ("exits", "failed", "the process ended with status 3"),
        ("crashes", "failed", "the process was ended by SIGSEGV"),
        ("raises", "failed", "ValueError: lost"),
        ("explodes", "failed", "loss is not finite"),
        ("broken", "failed", "SyntaxError: invalid syntax (broken.py, line 1)"),
        ("modelless", "failed", "AttributeError: module 'model' has no attribute 'Model'"),
        ("hoards", "stopped", "memory_bytes"),
        ("grows", "stopped", "memory_bytes"),
        ("long", "stopped", "items"),
    ],
)
def test_however_a_run_ends_it_is_said_and_harms_no_other(
    name: str, status: str, reason: str, zoo: dict[str, dict[str, Any]]
) -> None:
    assert (zoo[name]["status"], zoo[name]["reason"]) == (status, reason)
    assert bool(zoo[name]["bytes"]) == (status == "finished")
    assert set(zoo[name]["timing"]) == {"wall_s", "cpu_s", "train_cpu_s", "latency_ms", "peak_memory_bytes"}
    json.dumps({**zoo[name], "bytes": ""}, allow_nan=False)


@pytest.mark.parametrize(
    "change",
    [
        {},
        LONGEST,
        {"status": "promoted"},
        {"status": "failed"},
        {"reason": "no\u00e9"},
        {"status": "failed", "reason": "a\nb"},
        {"status": "failed", "reason": "x" * 301},
        {"steps": 21},
        {"steps": 19},
        {"items": -1},
        {"parameters": "many"},
        {"parameters": True},
        {"items": 80.0},
        {"validation": {"accuracy": 1.5, "bits": 2.0}},
        {"validation": {"accuracy": 0.5, "bits": -2.0}},
        {"loss_first": "5.0"},
        {"loss_last": math.nan},
        {"loss_last": 0.9},
        {"loss_first": -1.0},
        {"curve": [(1, 5.0)] * 65},
        {"curve": HONEST["curve"][:-1], "loss_last": 20.0 / 19},
        {"curve": HONEST["curve"][1:]},
        {"curve": [(1, None)]},
        {"curve": [(1.0, 20.0), *HONEST["curve"][1:]]},
        {"validation": {"accuracy": 0.5}},
        {"validation": {"accuracy": 0.5, "bits": 2.0, "more": 1.0}},
        {"timing": {"wall_s": 1.0}},
        {"surprise": 1},
    ],
)
def test_what_no_run_can_say_fails_the_run_that_says_it(
    change: dict[str, Any],
    tmp_path: Path,
    write_bundle: Callable[..., Path],
    language_model: Callable[..., str],
    outcomes: Callable[..., Any],
) -> None:
    forger = language_model(
        on_forward=FORGED.format(outcome=ascii({**HONEST, **change}).replace("nan", "float('nan')"))
    )
    found = outcomes(write_bundle(tmp_path, {"forger": forger}, [("forger", "forger", 20)]))["forger"]
    if not change or change == LONGEST:
        assert (found["status"], found["steps"]) == (change.get("status", "finished"), 20)
        return
    assert (found["status"], found["bytes"]) == ("failed", b"")
    assert found["law_violations"] == ["logged: the process ended with status 0"]


@pytest.mark.parametrize(
    "told",
    [
        {"event": "step"},
        {"event": "step", "step": "1", "loss": 1.0, "items_per_s": 1.0, "tokens_per_s": 1.0},
        {"event": "step", "step": 21, "loss": 1.0, "items_per_s": 1.0, "tokens_per_s": 1.0},
        {"event": "step", "step": 10**400, "loss": 1.0, "items_per_s": 1.0, "tokens_per_s": 1.0},
        {"event": "step", "step": 1, "loss": None, "items_per_s": 1.0, "tokens_per_s": 1.0},
        {"event": "checkpoint", "outcome": {**HONEST, "status": "paused", "curve": [(10**400, 1.0)]}},
        {"event": "checkpoint", "outcome": {**HONEST, "status": "paused", "steps": 10}},
    ],
    ids=lambda told: f"{told['event']}-{len(str(told))}",
)
def test_what_no_run_can_say_on_its_way_ends_that_run_and_no_other(
    told: dict[str, Any],
    tmp_path: Path,
    write_bundle: Callable[..., Path],
    language_model: Callable[..., str],
    outcomes: Callable[..., Any],
) -> None:
    said = FORGED.format(outcome="None").replace('{"event": "outcome", "outcome": None}', repr(told))
    forger = language_model(on_forward=said.replace('        pipe.send_bytes(b"{}")\n', ""))
    models = {"forger": forger, "honest": language_model()}
    found = outcomes(write_bundle(tmp_path, models, [("forger", "forger", 20), ("honest", "honest", 20)]))
    assert (found["forger"]["status"], found["honest"]["status"]) == ("failed", "finished")


def test_a_process_that_ends_without_a_report_broke_the_sixth_law(zoo: dict[str, dict[str, Any]]) -> None:
    assert zoo["exits"]["law_violations"] == ["logged: the process ended with status 3"]
    assert zoo["crashes"]["law_violations"] == ["logged: the process was ended by SIGSEGV"]
    assert zoo["raises"]["law_violations"] == zoo["hoards"]["law_violations"] == []


def test_a_limit_stops_a_run_exactly_there(zoo: dict[str, dict[str, Any]]) -> None:
    assert (zoo["long"]["steps"], zoo["long"]["items"]) == (57, 228)


@pytest.mark.parametrize(("domain", "samples"), [("language", 4 * 16), ("vision", 8), ("hybrid", 8)])
def test_the_budget_counts_tokens_of_language_and_items_of_the_rest(
    domain: str,
    samples: int,
    tmp_path: Path,
    write_bundle: Callable[..., Path],
    language_model: Callable[..., str],
    other_models: dict[str, str],
    outcomes: Callable[..., Any],
) -> None:
    models = {"language": language_model(), **other_models}
    runs = [("child-0", domain, 5)]
    for number, (budget, status, steps) in enumerate([(5 * samples, "finished", 5), (5 * samples - 1, "stopped", 4)]):
        place = write_bundle(tmp_path / str(number), models, runs, domain=domain, items=budget)
        outcome = outcomes(place)["child-0"]
        assert (outcome["status"], outcome["steps"]) == (status, steps)


def test_a_loss_that_is_not_finite_stops_the_run_early(zoo: dict[str, dict[str, Any]]) -> None:
    outcome = zoo["explodes"]
    assert outcome["steps"] == 3
    assert [step for step, _ in outcome["curve"]] == [1, 2]
    assert math.isfinite(outcome["loss_last"])


def test_a_finished_run_says_what_it_did(zoo: dict[str, dict[str, Any]]) -> None:
    outcome = zoo["honest"]
    assert (outcome["steps"], outcome["items"], outcome["parameters"]) == (20, 80, 256 * 8 + 8 * 8 + 8)
    assert [step for step, _ in outcome["curve"]] == list(range(1, 21))
    assert outcome["curve"][0][1] == outcome["loss_first"] > outcome["loss_last"] == outcome["curve"][-1][1]
    assert 0 <= outcome["validation"]["accuracy"] <= 1
    assert 0 < outcome["validation"]["bits"] < 16
    assert all(value > 0 for value in outcome["timing"].values())
    assert set(load_tensors(outcome["bytes"])) == {"embed.weight", "mix.weight", "mix.bias"}


def test_runs_differ_by_their_seed(zoo: dict[str, dict[str, Any]]) -> None:
    assert zoo["honest"]["bytes"] != zoo["twin"]["bytes"]


def test_time_that_is_up_stops_a_run_that_looks_and_one_that_does_not(
    tmp_path: Path, write_bundle: Callable[..., Path], language_model: Callable[..., str], outcomes: Callable[..., Any]
) -> None:
    models = {
        "dawdles": language_model(on_forward="import time; time.sleep(0.4)"),
        "sleeps": language_model(on_forward="import time; time.sleep(3600)"),
    }
    ended = outcomes(write_bundle(tmp_path, models, [(name, name, 20) for name in models], wall_s=1))
    assert [(run["status"], run["reason"]) for run in ended.values()] == [("stopped", "wall_s")] * 2


def test_the_time_is_that_of_all_runs_together(
    tmp_path: Path, write_bundle: Callable[..., Path], language_model: Callable[..., str], outcomes: Callable[..., Any]
) -> None:
    models = {"dawdles": language_model(on_forward="import time; time.sleep(0.4)")}
    names = [f"child-{number}" for number in range(4)]
    place = write_bundle(tmp_path, models, [(name, "dawdles", 50) for name in names], wall_s=2)
    ended = outcomes(place, workers=1)
    assert [(ended[name]["status"], ended[name]["reason"]) for name in names] == [("stopped", "wall_s")] * 4
    assert [bool(ended[name]["steps"]) for name in names] == [True, False, False, False]


def test_what_finishes_too_late_was_stopped(
    tmp_path: Path, write_bundle: Callable[..., Path], language_model: Callable[..., str], outcomes: Callable[..., Any]
) -> None:
    """It is slow where nobody looks at the time: in its validation."""
    slow = language_model(
        on_forward="""
        import time
        self.began = getattr(self, "began", time.monotonic())
        self.training or time.sleep(max(0, self.began + 4.3 - time.monotonic()))"""
    )
    outcome = outcomes(write_bundle(tmp_path, {"slow": slow}, [("slow", "slow", 2)], wall_s=4))["slow"]
    assert (outcome["status"], outcome["reason"], outcome["bytes"]) == ("stopped", "wall_s", b"")
    assert outcome["steps"] == 2


def test_a_run_may_stop_at_its_steps_or_its_disk(
    tmp_path: Path, write_bundle: Callable[..., Path], language_model: Callable[..., str], outcomes: Callable[..., Any]
) -> None:
    models = {"honest": language_model()}
    place = write_bundle(tmp_path / "steps", models, [("child-0", "honest", 9)], steps=7)
    assert outcomes(place)["child-0"]["reason"] == "steps"
    place = write_bundle(tmp_path / "disk", models, [("child-0", "honest", 2)], disk_bytes=1000)
    assert outcomes(place)["child-0"]["reason"] == "disk_bytes"


@pytest.mark.parametrize("domain", ["vision", "hybrid"])
@pytest.mark.parametrize(
    "optimizer",
    [
        {"op": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
        {"op": "muon", "lr": 0.02, "momentum": 0.95, "weight_decay": 0.01, "adamw_lr": 0.01},
    ],
    ids=lambda optimizer: optimizer["op"],
)
def test_other_domains_and_optimizers_learn_what_can_be_learned(
    domain: str,
    optimizer: dict[str, Any],
    tmp_path: Path,
    write_bundle: Callable[..., Path],
    other_models: dict[str, str],
    outcomes: Callable[..., Any],
) -> None:
    training = {"optimizer": optimizer, "schedule": {"op": "constant", "warmup": 0.0}, "clip": 0.0}
    place = write_bundle(tmp_path, other_models, [("child-0", domain, 130)], domain=domain, training=training)
    outcome = outcomes(place)["child-0"]
    assert (outcome["status"], outcome["reason"], outcome["items"]) == ("finished", "", 130 * 8)
    assert len(outcome["curve"]) <= 64
    assert outcome["curve"][-1][1] < outcome["curve"][0][1]


def test_half_precision_trains_and_the_weights_stay_float32(
    tmp_path: Path, write_bundle: Callable[..., Path], language_model: Callable[..., str], outcomes: Callable[..., Any]
) -> None:
    runs = [("child-0", "honest", 12)]
    outcome = outcomes(write_bundle(tmp_path, {"honest": language_model()}, runs, training={"precision": "bf16"}))
    assert outcome["child-0"]["status"] == "finished"
    assert all(tensor.dtype == torch.float32 for tensor in load_tensors(outcome["child-0"]["bytes"]).values())


def test_the_environment_is_that_of_a_run() -> None:
    environment = look_around()
    assert environment["threads"] == 1
    assert environment["torch"] == str(torch.__version__)
    assert set(environment) == {
        *("python", "torch", "numpy", "platform", "processor", "capability", "threads", "deterministic"),
        *("device", "compute", "driver", "cuda", "cudnn"),
    }
    if not torch.cuda.is_available():
        assert [environment[name] for name in ("compute", "driver", "cuda", "cudnn")] == [""] * 4
        assert (environment["device"], environment["deterministic"]) == ("cpu", "error")


def test_the_manifest_is_digested_as_canonical_json_would_be(honest: Path) -> None:
    from aams.canonical import digest

    inputs = json.loads((honest / "manifest.json").read_text())["inputs"]
    assert results.read_bundle(honest).digest == digest(inputs)
