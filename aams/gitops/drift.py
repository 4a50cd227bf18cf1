"""What has drifted: records that no longer verify, accepted specs that compile to something else, settings that differ.

Takes main as it is on GitHub, gives findings, and keeps one issue that lists them. Never mends anything: that is for
people, as whatever drifted was changed by somebody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from aams import views
from aams.canonical import digest
from aams.errors import AamsError
from aams.files import read_bounded
from aams.github.settings import read_parts
from aams.gitops.workshop import Site, Workshop, workshop
from aams.records import Finding
from compiler import spec as specs
from compiler.cost import estimate
from compiler.render import render, template_digests
from domains import find_corpus
from evaluator.markdown import block
from evaluator.recount import recount_in
from safety.archive import MAX_ARTIFACT_BYTES, generation_path
from safety.manifest import read_manifest
from safety.verify import verify

HIDDEN = "bypass_actors"
"""What GitHub shows to nobody but those who may change it: `aams github setup` compares it."""
TITLE = "AAMS: something has drifted"


def find_drift(site: Site, app: int) -> tuple[Finding, ...]:
    """Everything that is not as it was recorded or declared.

    Args:
        app: number of the App whose check is required.
    """
    with workshop(site) as shop:
        return (*_records(shop), *_compiled(shop), *_settings(site, app))


def tell(site: Site, found: tuple[Finding, ...]) -> int:
    """Have one open issue that lists the findings; none while there are none. Its number, 0 for none."""
    if not found:
        site.repository.settle_issue(TITLE)
        return 0
    lines = [f"{one.subject}: {one.what}: {one.got}; {one.advice}" for one in found]
    words = f"Found by `aams github drift`, which never mends anything.\n\n{block(chr(10).join(lines))}"
    return site.repository.ensure_issue(TITLE, words)


def _records(shop: Workshop) -> Iterator[Finding]:
    settled = [one for one in shop.lab.recorded if one.entry.cycle not in shop.lab.proposed]
    report = verify(shop.lab.root, views.acceptable(shop.lab.root, settled), recount_in)
    if report.broken:
        yield Finding("drift", report.broken.file, report.broken.what, report.broken.got, report.broken.advice)


def _compiled(shop: Workshop) -> Iterator[Finding]:
    """Compile every accepted spec again."""
    templates = digest(dict(template_digests()))
    for domain, lineage in sorted(shop.lab.state.lineages.items()):
        for generation in lineage.generations:
            if generation.status != "accepted":
                continue
            folder = generation_path(shop.lab.root, domain, generation.directory)
            name = f"{domain}/{generation.name}"
            try:
                yield from _one(folder, name, templates)
            except AamsError as error:
                yield Finding("drift", name, "can't be compiled any more", str(error.problems[0]), "mend the compiler")


def _one(folder: Path, name: str, templates: str) -> Iterator[Finding]:
    inputs = read_manifest(folder / "manifest.json").inputs
    spec = specs.read(folder / "spec.yaml")
    interface = find_corpus(inputs.domain, inputs.corpus).interface
    archived = read_bounded(folder / "model.py", MAX_ARTIFACT_BYTES)
    if inputs.digests["templates"] == templates:
        if render(spec, interface).encode("ascii") != archived:
            yield Finding("drift", name, "compiles to other bytes with the same templates", "", "mend the compiler")
        return
    recorded = json.loads(read_bounded(folder / "metrics.json", MAX_ARTIFACT_BYTES))["cost"]["parameters"]
    now = estimate(spec.tree, interface).parameters
    if now != recorded:
        yield Finding("drift", name, "has another number of parameters now", f"{now:,}, not {recorded:,}", "restore it")


def _settings(site: Site, app: int) -> Iterator[Finding]:
    for part in read_parts(site.root, site.repository, app):
        for one in part.differences:
            if one.where.endswith(HIDDEN):
                continue
            got = f"{one.actual}, not {one.declared}"
            yield Finding("drift", one.where, "is not set as it is declared", got, "`aams github setup --apply`")
