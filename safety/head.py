"""HEAD and champion.yaml: the two files that show what the ledger decided.

Takes a `State`; the approval in the ledger is the commit point, these files follow it. `heal` makes them equal to it
after a crash. Never overwrites a champion.yaml that somebody edited.
"""

from __future__ import annotations

from pathlib import Path

from aams.canonical import sha256
from aams.errors import failure
from aams.files import read_bounded, write_whole
from aams.strict import MAX_YAML_BYTES
from safety.archive import HISTORY, generation_path, protect, read_spec, sweep
from safety.ledger import CYCLES
from safety.state import Champion, Lineage, State

SPECS = "specs"
MAX_HEAD_BYTES = 1024


def head_path(root: Path, domain: str) -> Path:
    """Where a domain's HEAD lies."""
    return root / SPECS / domain / "HEAD"


def champion_path(root: Path, domain: str) -> Path:
    """Where a domain's champion lies."""
    return root / SPECS / domain / "champion.yaml"


def head_line(champion: Champion) -> bytes:
    """What HEAD holds: generation, spec id and the digest of the approval's entry, one line."""
    return f"{champion.generation} {champion.spec} {champion.entry}\n".encode("ascii")


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
        if not lineage.champion:
            continue
        protect(generation_path(root, domain, lineage.champion.directory))
        spec = read_spec(generation_path(root, domain, lineage.champion.directory))
        for path, content in (
            (champion_path(root, domain), spec),
            (head_path(root, domain), head_line(lineage.champion)),
        ):
            present = read_bounded(path, MAX_YAML_BYTES) if path.exists() else b""
            if present == content:
                continue
            if path.name == "champion.yaml" and present and not _is_archived(root, domain, lineage, present):
                raise failure(
                    f"was edited, and {HISTORY}/{domain}/{lineage.champion.directory}/spec.yaml is the champion",
                    advice=f"move it to {SPECS}/{domain}/candidates/ and try it with `run_cycle --spec FILE`",
                    file=str(path),
                )
            write_whole(path, content)
            mended.append(path.relative_to(root).as_posix())
    return tuple(mended)


def _is_archived(root: Path, domain: str, lineage: Lineage, content: bytes) -> bool:
    paths = (generation_path(root, domain, generation.directory) for generation in lineage.generations)
    return any(sha256(read_spec(path)) == sha256(content) for path in paths if path.exists())
