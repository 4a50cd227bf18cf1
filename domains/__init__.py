"""The domains: what is measured, on what data, with how much compute.

Takes the name of a domain, gives its whitelist of corpora and prepared arrays. Adding a domain is one package here and
one line in DOMAINS. Never trains, and never lets a spec name its data.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aams.errors import failure
from aams.records import Interface
from domains import hybrid, language, vision
from domains.base import Corpora, Corpus, Domain, Prepared
from domains.whitelist import read_corpora

if TYPE_CHECKING:
    from numpy.typing import NDArray

DOMAINS: dict[str, Domain] = {"language": language, "vision": vision, "hybrid": hybrid}


def load_corpora(domain: str) -> Corpora:
    """Read a domain's whitelist.

    Raises:
        AamsError: no such domain, or its corpora.yaml breaks a rule.
    """
    if domain not in DOMAINS:
        raise failure("no such domain", domain, "use one of " + ", ".join(DOMAINS))
    return read_corpora(Path(__file__).parent / domain / "corpora.yaml", DOMAINS[domain])


def find_corpus(domain: str, corpus_id: str | None = None) -> Corpus:
    """Find a corpus on the whitelist: the active one unless named.

    Raises:
        AamsError: it isn't there.
    """
    corpora = load_corpora(domain)
    known = {corpus.id: corpus for corpus in corpora.corpora}
    wanted = corpora.active if corpus_id is None else corpus_id
    if wanted not in known:
        close = difflib.get_close_matches(wanted, known, n=1) or sorted(known)
        raise failure("no such corpus", wanted, "try " + ", ".join(close), file=f"domains/{domain}/corpora.yaml")
    return known[wanted]


@lru_cache
def active_interface(domain: str) -> Interface:
    """What a model of the domain takes and gives, as its active corpus says; read once a process."""
    return find_corpus(domain).interface


def prepare(domain: str, corpus_id: str | None = None, *, cache: Path) -> Prepared:
    """Prepare a corpus, or take it from the cache, whose content is checked against its digest.

    Args:
        domain: a key of DOMAINS.
        corpus_id: on the whitelist; the active corpus unless given.
        cache: a directory that may be deleted at any time.

    Raises:
        AamsError: the corpus can't be read, or is not what the whitelist pins.
    """
    from domains.store import recall, store

    corpus = find_corpus(domain, corpus_id)
    prepared = recall(cache, corpus)
    if prepared is None:
        prepared = DOMAINS[domain].prepare(corpus)
        store(cache, corpus, prepared)
    return prepared


def draw_holdout(domain: str, prepared: Prepared, seed: bytes, blocks: int) -> dict[str, NDArray[Any]]:
    """Draw `blocks` disjoint holdout blocks of EVALUATED["holdout"] items, laid one after the other.

    Raises:
        AamsError: the corpus has too few holdout items for that.
    """
    return DOMAINS[domain].draw_holdout(prepared, seed, blocks)
