"""Views: what people and pages read, compiled from the ledger and from nothing else.

Takes the ordered ledger, gives files by path: `logs/experiments.jsonl`, `logs/evolution_log.jsonl`, `logs/lineage.csv`,
and for the page `docs/metrics.json`, `docs/feed.xml`, shards of 1,000 rows and columns of 10,000 cycles in
`docs/data/`. Equal ledgers give equal bytes. Never a source.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aams.errors import AamsError
from aams.files import write_whole
from aams.strict import read_json
from aams.views.columns import columns_of
from aams.views.feed import feed
from aams.views.logs import evolution_log, lineage_table
from aams.views.rows import experiments
from aams.views.summary import summary
from safety.ledger import Recorded, up_to
from safety.state import fold

__all__ = ["METRICS", "SHARD_ROWS", "acceptable", "compile_views", "experiments", "write_views"]

METRICS = "docs/metrics.json"
FEED = "docs/feed.xml"
SHARD_ROWS = 1_000
COLUMN_ROWS = 10_000


def compile_views(ledger: Sequence[Recorded]) -> dict[str, bytes]:
    """Compile every view.

    Returns:
        Content by path relative to the lab's root.
    """
    state = fold(ledger)
    rows = experiments(ledger, state)
    shards = {f"data/experiments-{index:04d}.json": part for index, part in enumerate(_parts(rows, SHARD_ROWS))}
    columns = {
        f"data/columns-{index:04d}.json": columns_of(part) for index, part in enumerate(_parts(rows, COLUMN_ROWS))
    }
    return {
        "logs/experiments.jsonl": _lines(rows),
        "logs/evolution_log.jsonl": _lines(evolution_log(ledger)),
        "logs/lineage.csv": lineage_table(ledger, state),
        **{f"docs/{name}": _json(data) for name, data in {**shards, **columns}.items()},
        FEED: feed(rows),
        METRICS: _json(summary(ledger, rows, state) | {"shards": list(shards), "columns": list(columns)}),
    }


def write_views(root: Path, ledger: Sequence[Recorded]) -> None:
    """Bring the view files up to date; files that are right already are left alone."""
    for name, content in compile_views(ledger).items():
        path = root / name
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content)


def acceptable(root: Path, ledger: Sequence[Recorded]) -> dict[str, tuple[bytes | None, ...]]:
    """What each view file may hold: what the ledger compiles to, or what it did when the views were last written.

    A killed command leaves views that are behind the ledger, some of them perhaps up to date; the next cycle writes
    them. `metrics.json` is written last and names the tips it was compiled from. None: the file may be absent.
    """
    now, then = compile_views(ledger), compile_views(up_to(_tips_of(root), ledger))
    return {name: tuple({now.get(name), then.get(name)}) for name in {**now, **then}}


def _tips_of(root: Path) -> frozenset[str]:
    """The entries that the written views end with; none when there are no views that say so."""
    try:
        metrics = read_json((root / METRICS).read_bytes(), METRICS)
        return frozenset(metrics["ledger"]["tips"])
    except (OSError, AamsError, KeyError, TypeError):
        return frozenset()


def _parts(rows: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _json(data: Any) -> bytes:
    return (json.dumps(data, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _lines(rows: Iterable[Any]) -> bytes:
    return b"".join(_json(row) for row in rows)
