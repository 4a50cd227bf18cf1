"""A screen passes the child that its own scores pass, in exact decimals, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from aams.errors import LedgerError
from safety.events import Screened, TrialScore
from safety.lifecycle import Cycle, advance


@pytest.fixture
def screen(say: Any) -> Any:
    """Screens the children whose accuracies are given, and says that `best` passed or not."""

    def screened(scores: dict[str, float | None], best: str, passed: bool = True, control: float = 0.5) -> Cycle:
        listed = tuple(TrialScore(say.sha(name), accuracy) for name, accuracy in scores.items())
        facts = Screened(control, listed, 0.005, say.sha(best) if best else "", passed)
        cycle = None
        before = (say.opened("G002"), say.proposed(*scores), say.frozen("trial"), say.trained("trial", 0, *scores))
        for number, each in enumerate((*before, facts), start=1):
            cycle = advance(cycle, say.entry("third", number, each), each)
        assert cycle is not None
        return cycle

    return screened


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ({"one": 0.52, "two": 0.51}, "one"),
        ({"one": 0.51, "two": 0.52}, "two"),
        ({"one": 0.52, "two": 0.51, "three": None}, "one"),
        ({"one": None, "two": 0.51}, "two"),
    ],
)
def test_the_child_with_the_highest_accuracy_is_the_best(
    screen: Any, say: Any, scores: dict[str, float | None], best: str
) -> None:
    assert screen(scores, best).best == say.sha(best)
    for other in {*scores, ""} - {best}:
        with pytest.raises(LedgerError, match="passes another child than its scores do"):
            screen(scores, other)


def test_of_equals_the_one_with_the_lowest_id_is_the_best(screen: Any, say: Any) -> None:
    first, second = sorted(("one", "two"), key=say.sha)
    for scores in ({first: 0.52, second: 0.52}, {second: 0.52, first: 0.52}):
        assert screen(scores, first).best == say.sha(first)
        with pytest.raises(LedgerError, match="passes another child"):
            screen(scores, second)


@pytest.mark.parametrize(("accuracy", "control"), [(0.505, 0.5), (0.305, 0.3), (0.705, 0.7), (0.107, 0.102)])
def test_exactly_the_margin_passes_and_a_thousandth_less_does_not(screen: Any, accuracy: float, control: float) -> None:
    assert screen({"one": accuracy}, "one", True, control).best
    assert not screen({"one": round(accuracy - 0.001, 3)}, "one", False, control).best
    for score, passed in ((accuracy, False), (round(accuracy - 0.001, 3), True)):
        with pytest.raises(LedgerError, match="passes another child"):
            screen({"one": score}, "one", passed, control)


def test_where_no_trial_finished_nothing_passes(screen: Any) -> None:
    assert screen({"one": None}, "", False).best == ""
    with pytest.raises(LedgerError, match="passes another child than its scores do; got none"):
        screen({"one": None}, "", True)
