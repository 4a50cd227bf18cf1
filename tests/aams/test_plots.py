from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.errors import AamsError
from aams.experiments import Archived, Experiment, experiments, told
from aams.plots import fitness, lineage, pairs, pareto
from aams.plots.lineage import EDGE, MAX_ROWS, MAX_TRIALS, STEP
from aams.plots.numbers import fitness_chart, lineage_chart, pairs_chart, pareto_chart
from aams.plots.style import IN_THE_DARK, MUTED, PAPER, render
from aams.records import Cost, Mutation
from evaluator.statistics import e_path
from safety.events import Facts, Looked, Proposed, Verdict
from safety.ledger import Recorded
from safety.lineage import Lineage
from safety.state import fold

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed: requirements/plot.lock")

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "$x^{$",
    "$\\frac{1}{0}$",
    "</text><script>alert(1)</script>",
    "\u202egnp.exe",
    "a\x00b\x1b[31m",
    "=cmd()|' /C calc'!A0",
    "w" * 5000,
    "line\nline\r",
    "&amp;<!--",
)
ARCHIVE = {("language", "G000"): Archived(Cost(2000, 2, 6, 0, 32, 384, 4, 16), "7" * 64, "cpu")}


def gains(*differences: float) -> Callable[[list[Facts]], list[Facts]]:
    """Gives a cycle's pairs these differences."""

    def change(events: list[Facts]) -> list[Facts]:
        at = next(index for index, facts in enumerate(events) if isinstance(facts, Looked))
        looked = events[at]
        assert isinstance(looked, Looked) and looked.look
        own = tuple(
            replace(pair, child=replace(pair.child, generalize=round(0.58 + difference, 6)))
            for pair, difference in zip(looked.pairs, differences, strict=True)
        )
        return [*events[:at], replace(looked, pairs=own), *events[at + 1 :]]

    return change


def seen(ledger: list[Recorded]) -> tuple[list[Experiment], Lineage]:
    return experiments(ledger, ARCHIVE), fold(ledger).lineages.get("language", Lineage())


def drawn(draw: Any, chart: Any) -> Any:
    """The picture, and a way to find an artist by its name in it."""
    from matplotlib.figure import Figure

    figure = Figure()
    draw(figure, chart)
    return {artist.get_gid(): artist for artist in figure.findobj(lambda artist: bool(artist.get_gid()))}


def svg(draw: Any, chart: Any, title: str = "a title") -> bytes:
    return render(lambda figure: draw(figure, chart), title, "svg")


def words(content: bytes) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(content).iter(f"{SVG}text")]  # noqa: S314


def points(artist: Any) -> list[tuple[float, float]]:
    return [tuple(map(float, place)) for place in artist.get_xydata()]


@pytest.fixture
def history(tell: Any) -> list[Recorded]:
    """A root, a better child, a rejected grandchild and a placebo."""
    better = gains(0.02, 0.03, 0.025, 0.021)(tell.whole_cycle("G001"))
    worse = tell.whole_cycle("G002", 0.55, course="rejected", parent="G001", child="9" * 64)
    placebo = tell.whole_cycle("G003", 0.6, course="placebo", parent="G001", child="4" * 64)
    ledger: list[Recorded] = tell.first_and(better, worse, placebo)
    return ledger


def test_fitness_shows_what_the_ledger_says(history: list[Recorded]) -> None:
    rows, line = seen(history)
    chart = fitness_chart(rows, "language", line)
    found = drawn(fitness.draw, chart)
    scored = [row for row in rows if row.generation and row.generalize is not None]
    assert [points(found[row.generation]) for row in scored] == [
        [(number, row.generalize)] for number, row in enumerate(scored)
    ]
    assert points(found["champion"]) == [(0, 0.5), (1, 0.6), (2, 0.6), (3, 0.6), (3.5, 0.6)]
    row = next(row for row in rows if row.generation == "G001")
    (interval,) = found["G001-interval"].get_segments()
    assert [float(end[1]) for end in interval] == pytest.approx([row.generalize_low, row.generalize_high])
    assert points(found["G001-control"])[0][1] == row.control_generalize == 0.58
    assert "G000-interval" not in found, "one run has no interval"
    assert {"G001", "N 4", "G000", "N 1"} <= set(words(svg(fitness.draw, chart)))


def test_a_rollback_takes_the_champions_line_back(tell: Any) -> None:
    ledger = tell.first_and(tell.whole_cycle("G001"), tell.recall("G000", "G001"))
    chart = fitness_chart(*_in(seen(ledger)))
    assert (chart.champion, [one.champion for one in chart.reigns]) == ("G000", ["G000", "G001"])
    assert points(drawn(fitness.draw, chart)["champion"])[-2:] == [(1, 0.6), (1.5, 0.5)]


def test_a_generation_that_was_not_scored_is_no_point(tell: Any) -> None:
    ledger = tell.first_and(tell.whole_cycle("G001")[:6])
    chart = fitness_chart(*_in(seen(ledger)))
    assert [one.generation for one in chart.points] == ["G000"]
    assert [(one.number, one.champion) for one in chart.reigns] == [(0, "G000"), (1, "G000")]
    assert svg(fitness.draw, chart)


def test_pairs_show_what_the_ledger_says(history: list[Recorded]) -> None:
    rows, _ = seen(history)
    chart = pairs_chart(told(history).values(), rows, "language", "G001")
    assert chart.differences == (0.02, 0.03, 0.025, 0.021)
    assert chart.e_values == e_path(chart.differences)
    assert (chart.mean, chart.low, chart.high, chart.needed) == (pytest.approx(0.024), 0.01, 0.03, 100)
    found = drawn(pairs.draw, chart)
    assert [points(found[f"pair-{number}"]) for number in range(1, 5)] == [
        [(number, difference)] for number, difference in enumerate(chart.differences, 1)
    ]
    assert points(found["e-values"]) == [(number, value) for number, value in enumerate(chart.e_values, 1)]
    assert points(found["mean"])[0][1] == chart.mean
    assert points(found["needed"])[0][1] == 100
    assert "wanted" not in found, "this verdict names no bound of generalize"


def test_the_wanted_gain_is_the_bound_that_the_verdict_was_held_against(tell: Any) -> None:
    events = tell.whole_cycle("G001")
    at = next(index for index, facts in enumerate(events) if isinstance(facts, Verdict))
    criterion = replace(events[at].criteria[0], name="generalize", value=0.6, bound=0.6)
    events[at] = replace(events[at], criteria=(*events[at].criteria, criterion))
    ledger = tell.first_and(events)
    chart = pairs_chart(told(ledger).values(), seen(ledger)[0], "language", "G001")
    assert chart.wanted == 0.02
    assert points(drawn(pairs.draw, chart)["wanted"])[0][1] == 0.02


def test_an_attempt_that_is_still_open_shows_its_pairs_so_far(tell: Any) -> None:
    events = tell.whole_cycle("G001", batches=2)
    until = next(index for index, facts in enumerate(events) if isinstance(facts, Looked)) + 1
    ledger = tell.first_and(events[:until])
    chart = pairs_chart(told(ledger).values(), seen(ledger)[0], "language", "G001")
    assert (chart.outcome, chart.standing, len(chart.differences)) == ("open", "more", 4)
    assert "language/G001: not decided yet after 4 pairs, open" in words(svg(pairs.draw, chart))


def test_lineage_shows_every_generation_below_its_parent(history: list[Recorded]) -> None:
    chart = lineage_chart(*_in(seen(history)))
    assert [(node.generation, node.parent, node.outcome) for node in chart.nodes] == [
        ("G000", "", "accepted"),
        ("G001", "G000", "accepted"),
        ("G002", "G001", "rejected"),
        ("G003", "G001", "placebo"),
    ]
    assert chart.champion == "G001"
    found = drawn(lineage.draw, chart)
    places = [points(found[node.generation])[0] for node in chart.nodes]
    assert [y for _, y in places] == sorted(y for _, y in places)
    assert places[0][0] < places[1][0] < places[2][0] == places[3][0]
    said = words(svg(lineage.draw, chart))
    assert {"G001 champion", "G002 rejected", "G003 placebo", "0.600", "124 of 100", "widen"} <= set(said)
    tombstones = [len(found[node.generation].get_marker().vertices) for node in chart.nodes[2:3]]
    assert tombstones == [7]


def test_searches_without_an_attempt_share_a_row(tell: Any) -> None:
    def search(seed: int) -> list[Facts]:
        events = tell.searched("G000", f"{seed:064x}")
        scores = (replace(events[-1].scores[0], accuracy=0.4),)
        return [*events[:-1], replace(events[-1], scores=scores, passed=False)]

    ledger = tell.first_and(*(search(seed) for seed in range(MAX_TRIALS + 4)))
    chart = lineage_chart(*_in(seen(ledger)))
    assert [(node.generation, node.cycles, len(node.trials)) for node in chart.nodes] == [("G000", 1, 0), ("", 16, 16)]
    assert chart.nodes[1].trials == pytest.approx([-0.1] * 16)
    assert {"16 cycles without an attempt", "+4"} <= set(words(svg(lineage.draw, chart)))


def test_a_cut_lineage_begins_at_the_left_again(tell: Any) -> None:
    names = [f"G{number:03d}" for number in range(MAX_ROWS + 20)]
    chart = lineage_chart(
        *_in(seen(tell.first_and(*(tell.whole_cycle(name, parent=before) for before, name in pairwise(names)))))
    )
    places = [points(place)[0][0] for name, place in drawn(lineage.draw, chart).items() if name in names]
    assert len(places) == MAX_ROWS
    assert min(places) == pytest.approx(EDGE + STEP)


def test_a_long_lineage_is_cut_at_its_old_end(tell: Any) -> None:
    cycles = [tell.whole_cycle(f"G{n:03d}", course="rejected", child=f"{n:064x}") for n in range(1, MAX_ROWS + 10)]
    chart = lineage_chart(*_in(seen(tell.first_and(*cycles))))
    found = drawn(lineage.draw, chart)
    assert "G129" in found and "G000" not in found
    said = words(svg(lineage.draw, chart))
    assert f"the newest {MAX_ROWS} of {MAX_ROWS + 10} rows" in said


def test_pareto_shows_what_the_ledger_says(history: list[Recorded]) -> None:
    rows, line = seen(history)
    chart = pareto_chart(rows, "language", "parameters", "fitness", line)
    known = {row.generation: (row.parameters, row.generalize) for row in rows if row.generation}
    assert {one.generation: (one.x, one.y) for one in chart.points} == {
        name: place for name, place in known.items() if place[0] is not None
    }
    assert [one.generation for one in chart.points if one.best] == ["G001"]
    found = drawn(pareto.draw, chart)
    for one in chart.points:
        assert points(found[one.generation]) == [(one.x, one.y)]
    assert points(found["front"]) == [(1000, 0.6)]
    assert "G001 (champion)" in words(svg(pareto.draw, chart))
    trials = pareto_chart(rows, "language", "memory", "validation", line)
    assert {(one.stage, one.x, one.y) for one in trials.points} == {("trial", 20, 0.52)}


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_dominates(measured: list[tuple[int, int]]) -> None:
    plain = Experiment("language", "c", "t", None, "attempt", "rejected", None, "G001", *[None] * 3)
    rows = [replace(plain, parameters=cost, generalize=score / 8) for cost, score in measured]
    chart = pareto_chart(rows, "language", "parameters", "fitness", Lineage())
    for one in chart.points:
        dominated = any(
            other.x <= one.x and other.y >= one.y and (other.x, other.y) != (one.x, one.y) for other in chart.points
        )
        assert one.best is not dominated


def test_a_placebo_is_on_no_front(tell: Any) -> None:
    plain = Experiment("language", "c", "t", None, "attempt", "placebo", None, "G001", *[None] * 3)
    row = replace(plain, parameters=1, generalize=0.9)
    assert not pareto_chart([row], "language", "parameters", "fitness", Lineage()).points[0].best


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_somebody_wrote_is_shown_and_nothing_more(text: str, tell: Any) -> None:
    events = tell.whole_cycle("G001")
    proposed = next(facts for facts in events if isinstance(facts, Proposed))
    mutation = Mutation(text, text, text, text, text, 0.01)
    child = replace(proposed.children[0], mutations=(mutation,), rationale=text)
    changed = [replace(facts, children=(child,)) if facts is proposed else facts for facts in events]
    chart = lineage_chart(*_in(seen(tell.first_and(changed))))
    content = svg(lineage.draw, chart, title=text.replace("\x00", "").replace("\x1b", ""))
    shown = words(content)
    tags = {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(content).iter()}  # noqa: S314
    assert "script" not in tags and b"<script" not in content
    assert ascii(text)[1:-1][:9] in " ".join(shown)
    assert max(map(len, shown)) < 100
    for kind in ("png", "pdf"):
        assert render(lambda figure: lineage.draw(figure, chart), text, kind)


def test_settings_of_the_reader_change_no_byte(history: list[Recorded]) -> None:
    chart = fitness_chart(*_in(seen(history)))
    before = svg(fitness.draw, chart)
    with matplotlib.rc_context({"svg.fonttype": "path", "lines.linewidth": 9, "text.parse_math": True}):
        assert svg(fitness.draw, chart) == before
        assert matplotlib.rcParams["lines.linewidth"] == 9, "and are left as they were"


def test_every_colour_has_a_twin_in_the_dark_that_can_be_read(history: list[Recorded]) -> None:
    rows, line = seen(history)
    charts = (
        (fitness, fitness_chart(rows, "language", line)),
        (lineage, lineage_chart(rows, "language", line)),
        (pareto, pareto_chart(rows, "language", "parameters", "fitness", line)),
        (pairs, pairs_chart(told(history).values(), rows, "language", "G001")),
    )
    for module, chart in charts:
        content = svg(module.draw, chart).decode()
        style = content.partition("<style")[2].partition("</style>")[0]
        used = set(re.findall(r'style="[^"]*(#[0-9a-f]{6})', content.replace(style, "")))
        assert used <= set(IN_THE_DARK)
        assert "prefers-color-scheme:dark" in style
        assert "<title>a title</title>" in content and "<dc:date>" not in content
    for light, dark in IN_THE_DARK.items():
        for colour, paper in ((light, PAPER), (dark, IN_THE_DARK[PAPER])):
            wanted = {MUTED: 4.5, "#1f2328": 7.0, "#0969da": 4.5, "#bc4c00": 4.5, "#818b98": 3.0}.get(light, 1.0)
            assert contrast(colour, paper) >= wanted, (light, colour)


def contrast(one: str, other: str) -> float:
    """Of WCAG 2.2."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_nothing_on_record_is_said_in_one_sentence() -> None:
    for draw in (
        lambda: fitness_chart([], "language", Lineage()),
        lambda: lineage_chart([], "language", Lineage()),
        lambda: pareto_chart([], "language", "parameters", "fitness", Lineage()),
    ):
        with pytest.raises(AamsError, match="nothing to draw of language"):
            draw()


def test_names_of_generations_never_cover_each_other(tell: Any) -> None:
    cycles = [tell.whole_cycle(f"G{n:03d}", course="rejected", child=f"{n:064x}") for n in range(1, 60)]
    chart = fitness_chart(*_in(seen(tell.first_and(*cycles))))
    found = svg(fitness.draw, chart)
    names = [text for text in words(found) if re.fullmatch(r"G\d{3}", text)]
    assert 10 <= len(names) <= 16
    numbers = [int(name[1:]) for name in names]
    assert len({after - before for before, after in pairwise(numbers)}) == 1


def _in(found: tuple[list[Experiment], Lineage]) -> tuple[list[Experiment], str, Lineage]:
    return found[0], "language", found[1]
