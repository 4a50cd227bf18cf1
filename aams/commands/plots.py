"""Commands that show the ledger outside of AAMS: plot (a picture) and frame (a table for a notebook)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aams.commands.actions import add_actions
from aams.commands.output import emit
from aams.commands.request import DOMAINS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aams.experiments import Experiment
    from safety.ledger import Recorded
    from safety.lineage import Lineage

AXES = ("fitness", "validation", "parameters", "flops", "memory")
"""`aams.plots.numbers.AXES`, written out: the parser is built without it."""


def register(subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    help_ = "draw what was recorded, as SVG, PNG or PDF: fitness, lineage, pareto, pairs"
    pictures, inner = add_actions(subparsers, common, "plot", help_)
    place = argparse.ArgumentParser(add_help=False, parents=[inner])
    place.add_argument("--domain", choices=DOMAINS, default="language", help="default: language")
    place.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .svg, .png or .pdf")

    fitness = pictures.add_parser(
        "fitness", parents=[place], help="the champion's line, and every generation with its 95 %% interval"
    )
    fitness.set_defaults(command=_fitness)

    lineage = pictures.add_parser(
        "lineage", parents=[place], help="the tree of generations, with the trials that led to them"
    )
    lineage.set_defaults(command=_lineage)

    pareto = pictures.add_parser("pareto", parents=[place], help="two of: " + ", ".join(AXES))
    pareto.add_argument("--x", choices=AXES, default="parameters", help="default: parameters")
    pareto.add_argument("--y", choices=AXES, default="fitness", help="default: fitness")
    pareto.set_defaults(command=_pareto)

    pairs = pictures.add_parser(
        "pairs", parents=[place], help="one attempt: the difference of each pair, and the evidence"
    )
    pairs.add_argument("generation", help="e.g. G007")
    pairs.set_defaults(command=_pairs)

    frame = subparsers.add_parser("frame", parents=[common], help="the ledger as one tidy table, as Parquet or CSV")
    frame.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .parquet or .csv")
    frame.set_defaults(command=_frame)


def _fitness(args: argparse.Namespace) -> int:
    from aams.plots import fitness, numbers

    seen = _see(args)
    chart = numbers.fitness_chart(seen.rows, args.domain, seen.lineage)
    return _draw(args, chart, partial(fitness.draw, chart=chart), "fitness")


def _lineage(args: argparse.Namespace) -> int:
    from aams.plots import lineage, numbers

    seen = _see(args)
    chart = numbers.lineage_chart(seen.rows, args.domain, seen.lineage)
    return _draw(args, chart, partial(lineage.draw, chart=chart), "lineage")


def _pareto(args: argparse.Namespace) -> int:
    from aams.plots import numbers, pareto

    seen = _see(args)
    chart = numbers.pareto_chart(seen.rows, args.domain, args.x, args.y, seen.lineage)
    return _draw(args, chart, partial(pareto.draw, chart=chart), f"{args.y} against {args.x}")


def _pairs(args: argparse.Namespace) -> int:
    from aams.experiments import told
    from aams.plots import numbers, pairs

    seen = _see(args)
    chart = numbers.pairs_chart(told(seen.ledger).values(), seen.rows, args.domain, args.generation)
    return _draw(args, chart, partial(pairs.draw, chart=chart), f"pairs of {chart.generation}")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a picture of one domain is drawn from."""

    ledger: Sequence[Recorded]
    rows: list[Experiment]
    lineage: Lineage


def _see(args: argparse.Namespace) -> _Seen:
    """Read the ledger, once it is clear that its picture can be written."""
    from aams.experiments import experiments, read_archive
    from aams.exports import kind_of, need
    from aams.plots.style import FORMATS
    from safety.ledger import read_ledger
    from safety.lineage import Lineage
    from safety.state import fold

    kind_of(args.out, FORMATS)
    need("matplotlib")
    ledger = read_ledger(args.root)
    rows = experiments(ledger, read_archive(args.root, ledger))
    return _Seen(ledger, rows, fold(ledger).lineages.get(args.domain, Lineage()))


def _draw(args: argparse.Namespace, chart: object, draw: Callable[[Figure], None], name: str) -> int:
    from aams.canonical import to_data
    from aams.exports import kind_of
    from aams.files import write_whole
    from aams.plots.style import FORMATS, render

    write_whole(args.out, render(draw, f"{args.domain}: {name}", kind_of(args.out, FORMATS)))
    emit(args, {"file": str(args.out), "chart": to_data(chart)}, [f"Drawn: {args.out}"])
    return 0


def _frame(args: argparse.Namespace) -> int:
    from aams.experiments import experiments, read_archive
    from aams.exports import kind_of
    from aams.files import write_whole
    from aams.frame import FORMATS, as_csv, as_parquet, frame
    from safety.ledger import read_ledger

    kind = kind_of(args.out, FORMATS)
    ledger = read_ledger(args.root)
    table = frame(experiments(ledger, read_archive(args.root, ledger)))
    write_whole(args.out, as_parquet(table) if kind == "parquet" else as_csv(table))
    columns = {name: str(kind) for name, kind in table.dtypes.items()}
    lines = [f"Written: {args.out}, {len(table)} rows of {len(columns)} columns"]
    emit(args, {"file": str(args.out), "rows": len(table), "columns": columns}, lines)
    return 0
