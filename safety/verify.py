"""Check everything that is recorded: ledger, archive, HEAD, champions and views.

Takes a repository's root, gives a report that names the first broken thing exactly. Weights that are not on this
machine are counted, not missed: Git never holds them. Never mends anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aams.errors import AamsError, Problem, failure
from aams.files import is_leftover, read_bounded
from aams.strict import MAX_YAML_BYTES
from safety import store
from safety.archive import HASHES, HISTORY, check_generation, generation_path
from safety.endorsement import check_promotions
from safety.head import MAX_HEAD_BYTES, SPECS, champion_path, head_path, named_by_head
from safety.ledger import Recorded, read_ledger
from safety.lineage import Generation
from safety.sshkeygen import have_ssh_keygen
from safety.state import State, fold

MAX_VIEW_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, and the first thing that is broken; None when all of it holds.

    Attributes:
        weights_checked, weights_absent: generations whose weights are here and match, or are not on this machine.
        decisions, decisions_elsewhere: screens, looks and verdicts that come out as they are recorded, and those that
            were made under a contract which is not at hand.
        promotions: those whose two signatures hold; None where `ssh-keygen` is missing and nobody could check.
    """

    entry_count: int = 0
    generation_count: int = 0
    weights_checked: int = 0
    weights_absent: int = 0
    view_count: int = 0
    decisions: int = 0
    decisions_elsewhere: int = 0
    promotions: int | None = None
    broken: Problem | None = None


def verify(
    root: Path,
    views: Mapping[str, tuple[bytes | None, ...]] | None = None,
    recount: Callable[[Path, tuple[Recorded, ...], State], tuple[int, int]] | None = None,
) -> Report:
    """Check a repository.

    Args:
        root: of the repository.
        views: what each compiled view may hold, by its path below the root, None where it may be absent; those who
            compile them know.
        recount: computes decisions again, as those who decide can, and holds the archives against what was judged: how
            many hold, and how many it could not recount.
    """
    report = Report()
    try:
        ledger = read_ledger(root)
        state = fold(ledger)
        report = replace(report, entry_count=len(ledger))
        if recount:
            held, elsewhere = recount(root, ledger, state)
            report = replace(report, decisions=held, decisions_elsewhere=elsewhere)
        if have_ssh_keygen():
            report = replace(report, promotions=check_promotions(root, ledger))
        for domain, lineage in sorted(state.lineages.items()):
            for generation in lineage.generations:
                report = _check_generation(root, domain, generation, report)
            _check_head(root, domain, state)
        _check_foreign(root, state)
        for name, allowed in (views or {}).items():
            path = root / name
            if not path.exists() and None in allowed:
                continue
            if read_bounded(path, MAX_VIEW_BYTES) not in allowed:
                raise failure(
                    "differs from what the ledger compiles to", advice="compile the views again", file=str(path)
                )
            report = replace(report, view_count=report.view_count + 1)
    except AamsError as error:
        return replace(report, broken=error.problems[0])
    return report


def _check_generation(root: Path, domain: str, generation: Generation, report: Report) -> Report:
    if not generation.archive:
        return report
    path = generation_path(root, domain, generation.directory)
    checked = check_generation(path, generation.archive)
    if checked.weights != generation.weights:
        raise failure(
            "names other weights than the ledger",
            checked.weights or "none",
            "restore it from Git",
            file=str(path / HASHES),
        )
    report = replace(report, generation_count=report.generation_count + 1)
    if not generation.weights:
        return report
    stored = store.get(root, generation.weights)
    if stored or checked.has_weights:
        return replace(report, weights_checked=report.weights_checked + 1)
    return replace(report, weights_absent=report.weights_absent + 1)


def _check_head(root: Path, domain: str, state: State) -> None:
    named = named_by_head(root, state, domain)
    unsettled = any(cycle.domain == domain and cycle.phase == "COMMIT" for cycle in state.open_cycles.values())
    if named is None or unsettled:  # killed right after an approval: the next command brings HEAD up to it
        return
    directory, line = named
    head, generation = head_path(root, domain), directory.partition("-")[0]
    if read_bounded(head, MAX_HEAD_BYTES) != line:
        raise failure(f"does not name the champion, {generation}", advice="any cycle heals it", file=str(head))
    archived = generation_path(root, domain, directory) / "spec.yaml"
    present = champion_path(root, domain)
    if read_bounded(present, MAX_YAML_BYTES) != read_bounded(archived, MAX_YAML_BYTES):
        raise failure(f"is not the spec of {generation}", advice=f"copy {archived} over it", file=str(present))


def _check_foreign(root: Path, state: State) -> None:
    """Refuse directories of generations, and HEADs, that the ledger knows nothing of."""
    known = {
        (domain, generation.directory)
        for domain, lineage in state.lineages.items()
        for generation in lineage.generations
    }
    for path in sorted((root / HISTORY).glob("*/*")):
        if (path.parent.name, path.name) not in known and not is_leftover(path) and path.name != ".gitkeep":
            raise failure("is not in the ledger", advice="remove it, or restore logs/cycles from Git", file=str(path))
    for path in sorted((root / SPECS).glob("*/HEAD")):
        if named_by_head(root, state, path.parent.name) is None:
            raise failure(
                "names a champion, and the ledger has none", advice="restore logs/cycles from Git", file=str(path)
            )
