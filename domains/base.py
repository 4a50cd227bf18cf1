"""What a domain is: the questions it asks of a model, and the data it asks them with.

Gives the records that describe a corpus and its prepared arrays, and the Protocol that each domain's module satisfies.
Fairness lives in a domain: data, splits, metrics, probes and the compute that every run is given. Never reads a file,
and imports no NumPy, so that a command that only needs the interface starts fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aams.records import Interface

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Splits:
    """Shares of the distinct items, by content hash. A model trains on train and replay, and sees no other."""

    train: int
    replay: int
    validation: int
    probe: int
    holdout: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """One entry of a whitelist.

    Attributes:
        loader: one of the domain's LOADERS; a generator's name ends with its version.
        source: the installed package, hub repository or directory that is read.
        revision: the package's version, or the hub's commit.
        digest: expected SHA-256 of what is read, or "" where a commit pins it.
        digest_rule: what `digest` is of: "file" is one file's bytes, "contents" the sorted, distinct SHA-256s of all
            items.
        options: what the loader needs besides, by the names that LOADERS lists.
    """

    id: str
    loader: str
    source: str
    revision: str
    digest: str
    digest_rule: Literal["file", "contents"]
    licence: str
    options: Mapping[str, str]
    splits: Splits
    interface: Interface


@dataclass(frozen=True, slots=True)
class Corpora:
    """A domain's whitelist, as on disk. Changing `active` starts a new lineage root."""

    schema_version: int
    active: str
    corpora: tuple[Corpus, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A corpus made ready: what travels in a bundle, and apart from it what never does.

    Attributes:
        digest: SHA-256 over every array below, holdout included; equal on every machine.
        arrays: split (train, validation, replay, probe) to array name to array.
        holdout: what `draw_holdout` draws from: windows, images, or base images.
    """

    corpus_id: str
    digest: str
    interface: Interface
    arrays: Mapping[str, Arrays]
    holdout: Arrays


class Domain(Protocol):
    """What `domains/<name>/__init__.py` offers.

    Attributes:
        COMPUTE_FLOPS: training FLOPs every run is given, by the static cost model: the yardstick of fairness.
        EVALUATED: split to items; "holdout" counts one block.
        METRICS: name to meaning.
        FIXED: prefixes of spec paths that no mutator may touch.
        LOADERS: loader to the options it takes.
    """

    NAME: str
    COMPUTE_FLOPS: int
    EVALUATED: Mapping[str, int]
    METRICS: Mapping[str, str]
    FIXED: tuple[str, ...]
    LOADERS: Mapping[str, tuple[str, ...]]

    def prepare(self, corpus: Corpus) -> Prepared:
        """Read a corpus and cut it into splits, uncached."""

    def draw_holdout(self, prepared: Prepared, seed: bytes, blocks: int, items: int = ...) -> dict[str, NDArray[Any]]:
        """Draw disjoint holdout blocks, one after the other: block i is rows i * items to (i + 1) * items."""
