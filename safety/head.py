"""HEAD and champion.yaml: the two files that show what the ledger decided.

Takes a `State`; the approval in the ledger is the commit point, these files follow it. `heal` makes them equal to it
after a crash. Where a merge is the approval they go ahead of it, by one generation that the arbiter accepted, until the
merge is on record. Never overwrites a champion.yaml that somebody edited.
"""

from __future__ import annotations

from pathlib import Path

from aams.canonical import sha256
from aams.errors import failure
from aams.files import read_bounded, write_whole
from aams.strict import MAX_YAML_BYTES
from safety.archive import HISTORY, generation_path, protect, read_spec, sweep
from safety.ledger import CYCLES
from safety.lifecycle import Cycle, is_accepted
from safety.lineage import Generation, Lineage
from safety.state import State

SPECS = "specs"
MAX_HEAD_BYTES = 1024


def head_path(root: Path, domain: str) -> Path:
    """Where a domain's HEAD lies."""
    return root / SPECS / domain / "HEAD"


def champion_path(root: Path, domain: str) -> Path:
    """Where a domain's champion lies."""
    return root / SPECS / domain / "champion.yaml"


def head_line(generation: str, spec: str, entry: str) -> bytes:
    """What HEAD holds: generation, spec id and the digest of the entry that decided it, one line."""
    return f"{generation} {spec} {entry}\n".encode("ascii")


def proposed_head(state: State, cycle: Cycle) -> tuple[Generation, bytes]:
    """The generation that an accepted cycle would make champion, and the line that HEAD would hold."""
    name = cycle.recalled or cycle.generation
    generation = next(one for one in state.lineages[cycle.domain].generations if one.name == name)
    return generation, head_line(name, generation.spec, cycle.decided)


def named_by_head(root: Path, state: State, domain: str) -> tuple[str, bytes] | None:
    """The directory of the generation that HEAD names rightly, and HEAD's line; None where there is no champion.

    It is the ledger's champion, or the generation of an accepted cycle when HEAD went ahead to it.
    """
    path = head_path(root, domain)
    present = read_bounded(path, MAX_HEAD_BYTES) if path.exists() else b""
    for cycle in state.open_cycles.values():
        if cycle.domain == domain and is_accepted(cycle):
            generation, line = proposed_head(state, cycle)
            if line == present:
                return generation.directory, line
    champion = state.lineages[domain].champion if domain in state.lineages else None
    return (champion.directory, head_line(champion.generation, champion.spec, champion.entry)) if champion else None


def heal(root: Path, state: State) -> tuple[str, ...]:
    """Make HEAD and champion.yaml what the ledger says, and remove what a killed command left half written.

    Call it under the repository's lock, before anything else is written.

    Returns:
        Paths of the files that were mended.

    Raises:
        AamsError: champion.yaml holds something that no generation archived, so somebody's edit would be lost.
    """
    sweep((root / CYCLES).parent)
    sweep(root / SPECS)
    mended = []
    for domain, lineage in sorted(state.lineages.items()):
        named = named_by_head(root, state, domain)
        if named is None:
            continue
        directory, line = named
        waiting = [one for one in state.open_cycles.values() if one.domain == domain and is_accepted(one)]
        kept = {directory, *(proposed_head(state, one)[0].directory for one in waiting)}
        kept |= {lineage.champion.directory} if lineage.champion else set()
        for one in sorted(kept):
            protect(generation_path(root, domain, one))
        spec = read_spec(generation_path(root, domain, directory))
        for path, content in ((champion_path(root, domain), spec), (head_path(root, domain), line)):
            present = read_bounded(path, MAX_YAML_BYTES) if path.exists() else b""
            if present == content:
                continue
            if path.name == "champion.yaml" and present and not _is_archived(root, domain, lineage, present):
                raise failure(
                    f"was edited, and {HISTORY}/{domain}/{directory}/spec.yaml is the champion",
                    advice=f"move it to {SPECS}/{domain}/candidates/ and try it with `run_cycle --spec FILE`",
                    file=str(path),
                )
            write_whole(path, content)
            mended.append(path.relative_to(root).as_posix())
    return tuple(mended)


def _is_archived(root: Path, domain: str, lineage: Lineage, content: bytes) -> bool:
    paths = (generation_path(root, domain, generation.directory) for generation in lineage.generations)
    return any(sha256(read_spec(path)) == sha256(content) for path in paths if path.exists())
