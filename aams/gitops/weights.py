"""A champion's weights: a file of its tag's release, named by their digest.

Takes a lab and a generation, gives its weights in the lab's store. What is fetched counts when it has the digest that
the ledger names.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from aams.bundle import MAX_BYTES
from aams.errors import failure
from aams.github.releases import Release
from aams.github.repository import Repository
from safety import store
from safety.ledger import read_ledger
from safety.lineage import Generation, Lineage
from safety.state import fold


def tag_of(domain: str, generation: str) -> str:
    """The tag of a promoted generation."""
    return f"generation/{domain}/{generation}"


def asset_of(generation: Generation) -> str:
    """The file of its weights."""
    return f"{generation.weights}.safetensors"


def fetch_weights(root: Path, repository: Repository, domain: str, name: str) -> str:
    """Bring a generation's weights into the lab's store; their digest.

    Raises:
        AamsError: there is no such generation, its release has no weights, or others than the ledger names.
    """
    lineage = fold(read_ledger(root)).lineages.get(domain, Lineage())
    found = next((one for one in lineage.generations if one.name == name and one.weights), None)
    if found is None:
        known = ", ".join(one.name for one in lineage.generations if one.status == "accepted") or "none"
        raise failure(f"no generation of {domain} with weights", name, f"accepted are: {known}")
    release = Release(repository, tag_of(domain, name))
    asset = release.assets().get(asset_of(found))
    if asset is None:
        raise failure("has no weights in a release", f"{domain}/{name}", "`aams reproduce` trains them again")
    with tempfile.TemporaryDirectory(prefix="aams-") as place:
        store.put(root, release.get(asset, Path(place), MAX_BYTES), found.weights)
    return found.weights
