from __future__ import annotations

from typing import Any

import pytest

from trainer.ladder import Ladder, decide, dropped

STEPS = 200


def inputs(children: int, *rungs: tuple[int, int]) -> dict[str, Any]:
    names = ["control-0", *(f"child-{number}" for number in range(children))]
    return {
        "runs": [{"name": name, "arm": name.split("-")[0], "steps": STEPS} for name in names],
        "rungs": [{"percent": percent, "keep": keep} for percent, keep in rungs],
    }


def test_the_best_are_kept_and_equals_go_by_name() -> None:
    decision = decide(25, 2, {"b": 3.0004, "a": 3.0, "d": 2.5, "c": 3.001})
    assert decision == {
        "percent": 25,
        "ranks": [
            {"run": "d", "bits": 2.5},
            {"run": "a", "bits": 3.0},
            {"run": "b", "bits": 3.0},
            {"run": "c", "bits": 3.001},
        ],
        "kept": ["d", "a"],
    }
    assert dropped(decision) == {"b": "rung 25 %: place 3 of 4", "c": "rung 25 %: place 4 of 4"}


def test_without_rungs_everybody_goes_to_the_end() -> None:
    ladder = Ladder(inputs(3))
    assert [ladder.stop(f"child-{number}") for number in range(3)] == [STEPS] * 3
    assert all(ladder.may_go_on(f"child-{number}") for number in range(3))
    assert ladder.decide() is None


def test_nobody_goes_on_before_the_last_has_come_or_ended() -> None:
    ladder = Ladder(inputs(4, (25, 2), (50, 1)))
    for number in range(3):
        assert ladder.stop(f"child-{number}") == 50
        ladder.pause(f"child-{number}", {"steps": 50, "validation": {"bits": 3.0 - number}})
        assert not ladder.may_go_on(f"child-{number}")
        assert ladder.decide() is None
    assert ladder.may_go_on("control-0")
    ladder.pause("child-3", {"steps": 49, "validation": {"bits": 0.0}})
    assert ladder.may_go_on("child-3"), "a checkpoint on the way is no rung"
    assert ladder.decide() is None
    ladder.end("child-3")
    assert (ladder.decide() or {})["kept"] == ["child-2", "child-1"]
    assert [ladder.may_go_on(f"child-{number}") for number in range(4)] == [False, True, True, False]
    assert (ladder.stop("child-2"), ladder.stop("control-0")) == (100, STEPS)


def test_when_all_have_ended_the_rungs_decide_about_nobody() -> None:
    ladder = Ladder(inputs(2, (25, 1)))
    ladder.end("child-0")
    ladder.end("child-1")
    assert ladder.decide() == {"percent": 25, "ranks": [], "kept": []}
    assert ladder.decide() is None


def test_what_is_left_is_what_rungs_will_let_be_trained() -> None:
    ladder = Ladder(inputs(4, (25, 2), (50, 1)))
    names = ["control-0", *(f"child-{number}" for number in range(4))]
    assert ladder.left(dict.fromkeys(names, 0.0)) == pytest.approx(1 + 4 * 0.25 + 2 * 0.25 + 0.5)
    for number in range(4):
        ladder.pause(f"child-{number}", {"steps": 50, "validation": {"bits": float(number)}})
    ladder.decide()
    assert ladder.left({"control-0": 0.5, "child-0": 0.25, "child-1": 0.5}) == pytest.approx(0.5 + 0.25 + 0.5)
    ladder.end("child-0")
    ladder.end("child-1")
    assert ladder.left({"control-0": 0.9}) == pytest.approx(0.1)
