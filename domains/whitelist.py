"""The strict reader of `corpora.yaml`.

Takes the file's path and the domain it belongs to, gives a `Corpora` whose every rule holds. The records of
`domains.base` are the schema: their exact keys and types, and beside them the rules below. Never loads data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from aams.canonical import from_data
from aams.errors import AamsError, Problem
from aams.files import read_bounded
from aams.strict import MAX_YAML_BYTES, Document, path_text, read_yaml
from domains.base import Corpora, Corpus, Domain

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


def read_corpora(path: Path, domain: Domain) -> Corpora:
    """Read a whitelist.

    Raises:
        AamsError: with file, line and column of everything that breaks a rule.
    """
    document = read_yaml(read_bounded(path, MAX_YAML_BYTES), str(path))
    try:
        corpora = from_data(Corpora, document.data)
    except AamsError as error:
        raise AamsError(*(_placed(document, problem) for problem in error.problems)) from None
    if problems := list(_broken_rules(document, corpora, domain)):
        raise AamsError(*problems)
    return corpora


def _placed(document: Document, problem: Problem) -> Problem:
    path = next((path for path in document.places if path_text(path) == problem.path), ())
    return document.problem(path, problem.what, problem.got, problem.advice)


def _broken_rules(document: Document, corpora: Corpora, domain: Domain) -> Iterator[Problem]:
    if corpora.schema_version != 1:
        yield document.problem(("schema_version",), "must be 1", corpora.schema_version)
    ids = [corpus.id for corpus in corpora.corpora]
    if corpora.active not in ids:
        yield document.problem(("active",), "no such corpus", corpora.active, "name one of " + ", ".join(ids))
    for index, corpus in enumerate(corpora.corpora):
        if corpus.id in ids[:index]:
            yield document.problem(("corpora", index, "id"), "an id is given twice", corpus.id)
        for key, what, got, advice in _broken_entry(corpus, domain):
            yield document.problem(("corpora", index, *key), what, got, advice)


def _broken_entry(corpus: Corpus, domain: Domain) -> Iterator[tuple[tuple[str, ...], str, object, str]]:
    if not _SLUG.match(corpus.id):
        yield ("id",), "must be lower-case words joined by hyphens", repr(corpus.id), ""
    if corpus.loader not in domain.LOADERS:
        yield ("loader",), "no such loader", corpus.loader, "use one of " + ", ".join(domain.LOADERS)
    elif sorted(corpus.options) != sorted(domain.LOADERS[corpus.loader]):
        wanted = ", ".join(domain.LOADERS[corpus.loader]) or "nothing"
        yield ("options",), f"{corpus.loader} takes exactly {wanted}", ", ".join(corpus.options) or "nothing", ""
    if corpus.digest and not _SHA256.match(corpus.digest):
        yield ("digest",), 'must be 64 lower-case hexadecimal digits, or ""', repr(corpus.digest), ""
    if not corpus.digest and not _COMMIT.match(corpus.revision):
        yield ("digest",), "a corpus must be pinned", "neither a digest nor a commit", "give the digest"
    if not all(1 <= share <= 10_000 for share in astuple(corpus.splits)):
        yield ("splits",), "every share must be in 1 .. 10000", "", ""
    if corpus.interface.domain != domain.NAME:
        yield ("interface", "domain"), f"must be {domain.NAME}", corpus.interface.domain, ""
    if not all(0 <= number <= 4096 for number in astuple(corpus.interface)[1:]):
        yield ("interface",), "every number must be in 0 .. 4096", "", ""
