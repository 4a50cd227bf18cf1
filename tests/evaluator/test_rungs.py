from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.dispatch import plan_rungs
from aams.records import Budget, Inputs, Run, Rung
from evaluator.rungs import Decided, Rank, misfit
from safety.contract import Cut
from trainer import ladder

CUTS = [Cut(25, 3), Cut(50, 5)]
NAMES = [f"child-{number}" for number in range(12)]


@dataclass(frozen=True)
class Ended:
    status: str
    reason: str
    steps: int


Recorded = tuple[list[Decided], dict[str, Ended]]


def inputs(children: int, rungs: tuple[Rung, ...] | None = None) -> Inputs:
    """A trial of so many children and a control, each of other steps."""
    runs = (
        Run("control-0", "control", 0, "a" * 64, 1, 90),
        *(Run(NAMES[number], "child", number, "b" * 64, 2, 90 + number) for number in range(children)),
    )
    return Inputs(
        schema_version=1,
        cycle="cycle-7",
        stage="trial",
        batch=0,
        domain="language",
        generation="",
        sealed="",
        parent="G000",
        parent_weights="",
        corpus="small",
        digests={},
        files={},
        runs=runs,
        rungs=plan_rungs(runs, CUTS) if rungs is None else rungs,
        compute_flops=1,
        budget=Budget(1, 1, 1, 1, 1),
        confinement=(),
    )


def as_data(given: Inputs) -> dict[str, Any]:
    """What the trainer reads of it."""
    return {
        "runs": [{"name": run.name, "arm": run.arm, "steps": run.steps} for run in given.runs],
        "rungs": [{"percent": rung.percent, "keep": rung.keep} for rung in given.rungs],
    }


def climb(given: Inputs, bits: Mapping[str, float | None], order: list[str]) -> Recorded:
    """Let the trainer's ladder decide: every child measures the same at each rung, or fails before the first."""
    one = ladder.Ladder(as_data(given))
    ended = {"control-0": Ended("finished", "", 90)}
    while True:
        for run in order:
            if run in one.climbing and one.may_go_on(run):
                value = bits[run]
                if value is None:
                    ended[run] = Ended("failed", "lost", 3)
                    one.end(run)
                elif one.stop(run) == one.steps[run]:
                    ended[run] = Ended("finished", "", one.steps[run])
                    one.end(run)
                else:
                    one.pause(run, {"steps": one.stop(run), "validation": {"bits": value}})
        decision = one.decide()
        if decision is None:
            break
        steps = {run: one.outcomes[run]["steps"] for run in ladder.dropped(decision)}
        ended |= {run: Ended("dropped", why, steps[run]) for run, why in ladder.dropped(decision).items()}
    if given.rungs:
        assert set(ended) == {run.name for run in given.runs}
    recorded = [
        Decided(rung["percent"], tuple(Rank(**rank) for rank in rung["ranks"]), tuple(rung["kept"]))
        for rung in one.decided
    ]
    return recorded, ended


measured = st.lists(
    st.one_of(st.none(), st.floats(0, 16), st.sampled_from([1.0, 1.0004, 1.0006])), min_size=2, max_size=len(NAMES)
)


@given(measured, st.randoms(use_true_random=False))
def test_whatever_the_trainer_decides_follows_for_the_evaluator(values: list[float | None], random: Any) -> None:
    """Both state the same rule, and the order in which runs come to a rung is nothing to it."""
    asked = inputs(len(values))
    bits = dict(zip(NAMES, values, strict=False))
    shuffled = random.sample(list(bits), len(bits))
    recorded, ended = climb(asked, bits, list(bits))
    assert climb(asked, bits, shuffled) == (recorded, ended)
    assert misfit(asked, recorded, ended) == ""
    alive = [value for value in values if value is not None]
    for rung, planned in zip(recorded, asked.rungs, strict=True):
        assert len(rung.kept) == min(planned.keep, len(alive))
        assert all(round(bits[run] or 0, 3) <= rank.bits for run in rung.kept for rank in rung.ranks[planned.keep :])


@given(measured, st.data())
def test_any_other_decision_is_refused(values: list[float | None], data: Any) -> None:
    asked = inputs(len(values))
    recorded, ended = climb(asked, dict(zip(NAMES, values, strict=False)), NAMES[: len(values)])
    if not recorded or not recorded[0].ranks:
        return
    number = data.draw(st.integers(0, len(recorded) - 1))
    rung = recorded[number]
    kept = tuple(data.draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4)))
    if kept != rung.kept:
        forged = [*recorded[:number], replace(rung, kept=kept), *recorded[number + 1 :]]
        assert misfit(asked, forged, ended) == f"rungs.{number}.kept: must be the best {asked.rungs[number].keep}"


def test_a_share_of_the_children_is_kept_rounded_up_and_a_rung_that_keeps_all_is_left_out() -> None:
    rungs = {children: inputs(children).rungs for children in (1, 2, 3, 4, 7, 12)}
    assert {children: [(rung.percent, rung.keep) for rung in planned] for children, planned in rungs.items()} == {
        1: [],
        2: [(25, 1)],
        3: [(25, 1)],
        4: [(25, 2), (50, 1)],
        7: [(25, 3), (50, 2)],
        12: [(25, 4), (50, 3)],
    }


BITS: dict[str, float | None] = {"child-0": 2.0, "child-1": 3.0, "child-2": 1.0, "child-3": None, "child-4": 4.0}
FORGED: dict[str, tuple[Callable[[list[Decided], dict[str, Ended]], Any], str]] = {
    "no rungs": (lambda rungs, ended: rungs.clear(), "rungs: must be those of the manifest"),
    "another place": (lambda rungs, ended: _put(rungs, percent=26), "rungs: must be those of the manifest"),
    "a rank left out": (lambda rungs, ended: _put(rungs, ranks=rungs[0].ranks[1:]), "rungs.0.ranks: must name every"),
    "a rank twice": (lambda rungs, ended: _put(rungs, ranks=rungs[0].ranks[:1] * 2), "rungs.0.ranks: must be of"),
    "a control": (lambda rungs, ended: _put(rungs, ranks=(Rank("control-0", 0.5),)), "rungs.0.ranks: must be of"),
    "a stranger": (lambda rungs, ended: _put(rungs, ranks=(Rank("child-9", 0.5),)), "rungs.0.ranks: must be of"),
    "out of order": (
        lambda rungs, ended: _put(rungs, ranks=rungs[0].ranks[::-1]),
        "rungs.0.ranks: must be rounded to 3",
    ),
    "not rounded": (lambda rungs, ended: _first(rungs, 0.99999), "rungs.0.ranks: must be rounded to 3"),
    "below zero": (lambda rungs, ended: _first(rungs, -1.0), "rungs.0.ranks: must be rounded to 3"),
    "a friend kept": (
        lambda rungs, ended: _put(rungs, kept=("child-2", "child-4")),
        "rungs.0.kept: must be the best",
    ),
    "all kept": (lambda rungs, ended: _put(rungs, kept=tuple(BITS)), "rungs.0.kept: must be the best"),
    "dropped by nobody": (lambda rungs, ended: _end(ended, "child-2", status="dropped", reason="x"), "runs.child-2:"),
    "a control dropped": (lambda rungs, ended: _end(ended, "control-0", status="dropped"), "runs.control-0:"),
    "finished all the same": (lambda rungs, ended: _end(ended, "child-4", status="finished"), "runs.child-4:"),
    "failed all the same": (lambda rungs, ended: _end(ended, "child-4", status="failed"), "runs.child-4:"),
    "dropped later": (lambda rungs, ended: _end(ended, "child-4", steps=24), "runs.child-4: must be dropped exactly"),
    "another reason": (lambda rungs, ended: _end(ended, "child-4", reason="bad luck"), "runs.child-4:"),
}


def _put(rungs: list[Decided], **changes: Any) -> None:
    rungs[0] = replace(rungs[0], **changes)


def _first(rungs: list[Decided], bits: float) -> None:
    _put(rungs, ranks=(replace(rungs[0].ranks[0], bits=bits), *rungs[0].ranks[1:]))


def _end(ended: dict[str, Ended], run: str, **changes: Any) -> None:
    ended[run] = replace(ended[run], **changes)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_decision_is_refused_by_name(name: str) -> None:
    change, complaint = FORGED[name]
    asked = inputs(5)
    rungs, ended = climb(asked, BITS, list(BITS))
    assert misfit(asked, rungs, ended) == ""
    change(rungs, ended)
    assert misfit(asked, rungs, ended).startswith(complaint)


def test_a_run_that_ended_by_itself_after_a_rung_keeps_its_rank() -> None:
    asked = inputs(5)
    rungs, ended = climb(asked, BITS, list(BITS))
    _end(ended, "child-2", status="failed", reason="the process ended with status 3", steps=0)
    assert misfit(asked, rungs, ended) == ""
