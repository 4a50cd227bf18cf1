"""What follows a person's approval: the merge, the tag, the weights' release, the second key on record, and the views.

Takes main and open proposals as they stand, gives what was done. A review only wakes it: every approval is read again
from GitHub, and counts when an allowed person gave it to exactly the commit that the arbiter's check is on. Run again,
it goes on where it was stopped: what is merged and not on record yet is put on record.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from aams import git, views
from aams.canonical import sha256
from aams.cycle import approve
from aams.errors import AamsError, failure
from aams.github.records import Check, Review
from aams.github.releases import Release
from aams.github.repository import BASE, Repository
from aams.gitops.arbitration import why_stale
from aams.gitops.evidence import TAG, Evidence
from aams.gitops.judging import CHECK
from aams.gitops.proposals import Proposal, branch_of
from aams.gitops.receiving import Done, each
from aams.gitops.weights import asset_of, tag_of
from aams.gitops.wishes import answer, origin
from aams.gitops.workshop import Site, Workshop, push_files, workshop
from safety.clock import utc_now
from safety.contract import Contract
from safety.eligibility import overdue
from safety.events import Frozen, Reviewed
from safety.head import head_path, proposed_head
from safety.ledger import CYCLES
from safety.lifecycle import Cycle, is_accepted

RECORD = "aams/record"


def promote(site: Site, app: int) -> tuple[Done, ...]:
    """Merge what is approved, then bring main's records to what was merged.

    Args:
        app: number of the App whose check is required.
    """
    with workshop(site) as shop:
        merged = each(shop, lambda shop, proposal: _merge(shop, proposal, app))
    with workshop(site) as shop:
        return merged + _record(shop, app)


def approval(contract: Contract, reviews: tuple[Review, ...], sha: str) -> Review | None:
    """The approval that counts: the newest word of an allowed person, about exactly this commit."""
    allowed = {login.casefold() for login in contract.approvers}
    newest: dict[str, Review] = {}
    for review in reviews:
        if review.is_person and review.login.casefold() in allowed and review.state != "COMMENTED":
            newest[review.login] = review
    return next((one for one in newest.values() if one.state == "APPROVED" and one.sha == sha), None)


def _merge(shop: Workshop, proposal: Proposal, app: int) -> Done | None:
    repository, pull = shop.site.repository, proposal.pull
    cycle = shop.lab.state.open_cycles.get(proposal.cycle)
    if cycle is None or not is_accepted(cycle) or pull.base != BASE:
        return None
    if why_stale(shop.lab, cycle) or overdue(cycle, shop.lab.contract, utc_now()):
        return None  # the arbiter takes it back
    check = repository.check(pull.sha, CHECK, app)
    if check is None or check.conclusion != "success":
        return None
    if approval(shop.lab.contract, repository.reviews(pull.number), pull.sha) is None:
        return None
    generation = cycle.recalled or cycle.generation
    repository.merge(pull, f"Promote {proposal.domain}/{generation}")
    repository.drop_branch(pull.branch)
    return Done(cycle.id, f"{proposal.domain}/{generation} is merged")


def _record(shop: Workshop, app: int) -> tuple[Done, ...]:
    """One pull request with the second keys of what was merged, and the views of what is settled."""
    lab, site = shop.lab, shop.site
    files: dict[str, bytes | None] = {}
    done = []
    for cycle in [one for one in lab.state.open_cycles.values() if one.id not in lab.proposed]:
        if not is_accepted(cycle) or _main_head(shop, cycle.domain) != proposed_head(lab.state, cycle)[1]:
            continue
        try:
            review = _reviewed(shop, cycle)
            approve(lab, cycle.domain, cycle.recalled or cycle.generation, review)
        except AamsError as error:  # it must not keep the others waiting
            done.append(Done(cycle.id, str(error.problems[0]), failed=True))
            continue
        entries = sorted((lab.root / CYCLES / cycle.id).glob("*.json"))
        files |= {path.relative_to(lab.root).as_posix(): path.read_bytes() for path in entries}
        done.append(Done(cycle.id, f"{cycle.recalled or cycle.generation} is champion, by {review.login}"))
    settled = [one for one in lab.recorded if one.entry.cycle not in lab.proposed]
    if settled:
        files |= views.compile_views(settled)
    before = site.repository.tip(RECORD)
    commit = push_files(shop, RECORD, shop.main, before, files, "Record what is decided")
    if commit != shop.main:
        _merge_record(site.repository, commit, app)
        done.append(Done(RECORD, "records and views are merged"))
    _tidy(shop)
    return tuple(done)


def _merge_record(repository: Repository, commit: str, app: int) -> None:
    words = "Second keys and compiled views. No person is needed: nothing in it decides anything."
    pull = repository.ensure_pull_request(RECORD, BASE, "Record what is decided", words, draft=False)
    repository.ensure_labels(pull, "record")
    repository.ensure_check(commit, CHECK, app, Check("success", "a record", words))
    repository.merge(replace(pull, sha=commit), "Record what is decided")


def _main_head(shop: Workshop, domain: str) -> bytes | None:
    return git.tracked_bytes(shop.site.root, shop.main, head_path(Path(), domain).as_posix())


def _reviewed(shop: Workshop, cycle: Cycle) -> Reviewed:
    """Whose approval a merge rests on; the tag and the weights' release are made on the way.

    Raises:
        AamsError: it was merged without one: somebody went round the rules, and no key is given for that.
    """
    repository, generation = shop.site.repository, cycle.recalled or cycle.generation
    closed = repository.pull_requests("closed", branch_of(cycle.domain, cycle.id))
    pulls = [one for one in closed if one.merge and one.base == BASE and one.source == repository.name]
    found = approval(shop.lab.contract, repository.reviews(pulls[-1].number), pulls[-1].sha) if pulls else None
    if found is None:
        what = f"{cycle.domain}/{generation} was merged without an allowed person's approval"
        raise failure(
            what,
            f"#{pulls[-1].number}" if pulls else "no pull request",
            "find out how; an owner stands up for it, or reverts the merge",
        )
    name = tag_of(cycle.domain, generation)
    if cycle.recalled:
        name = f"{name}-recalled-{cycle.id.rpartition('-')[2]}"
    tag = repository.ensure_tag(name, pulls[-1].merge, f"{cycle.domain}/{generation}, by {found.login}", utc_now())
    if not cycle.recalled:
        _release(shop, cycle, name)
    wish = origin(shop.site.root, pulls[-1].sha, cycle.id)
    answer(shop.site, pulls[-1].sha, cycle.id, pulls[-1].number, f"{cycle.domain}/{generation} is champion")
    return Reviewed(found.login, found.id, found.sha, tag, proposed_by=wish[1] if wish else "")


def _release(shop: Workshop, cycle: Cycle, tag: str) -> None:
    """Attach the champion's weights, named by their digest."""
    lab, repository = shop.lab, shop.site.repository
    generation = next(one for one in lab.lineage(cycle.domain).generations if one.name == cycle.generation)
    release, name = Release(repository, tag), asset_of(generation)
    if name in release.assets():
        return
    frozen = next(one for one in lab.facts(cycle.id) if isinstance(one, Frozen) and one.stage != "trial")
    arm = "child" if cycle.opened.parent else "root"
    with tempfile.TemporaryDirectory() as place:
        results = Evidence(repository, cycle.id).fetch_results(frozen, Path(place))
        content = (results / f"{arm}-0.safetensors").read_bytes()
    if sha256(content) != generation.weights:
        raise failure("its results hold other weights than were judged", generation.name, file="github")
    release.ensure(f"{cycle.domain}/{generation.name}", "Weights of run 0; the name is their SHA-256.", False)
    release.put(name, content)


def _tidy(shop: Workshop) -> None:
    """Let evidence go that is on record as decided."""
    still = {*shop.lab.state.open_cycles, *shop.lab.proposed}
    known = {entry.cycle for entry, _ in shop.lab.recorded}
    for tag in shop.site.repository.release_tags():
        cycle = tag.removeprefix(TAG)
        if tag.startswith(TAG) and cycle in known - still:
            Evidence(shop.site.repository, cycle).delete()
