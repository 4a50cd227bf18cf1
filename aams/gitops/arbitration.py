"""The arbiter's sweep over proposals: judges what came back, says how each stands, and lets the decided ones in.

Takes open proposals as they stand, gives what was done. What is rejected is merged as a record, by nobody's leave but
the arbiter's; what is accepted gets the required check on exactly the commit that was judged, and waits for a person.
A verdict that rests on what has changed since is taken back.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

from aams.cycle import Lab, abandon, break_off, decisions_elsewhere, decline, judge
from aams.cycle.desk import keep_results
from aams.cycle.planned import check_archived
from aams.errors import AamsError
from aams.github.records import Check
from aams.github.repository import BASE
from aams.github.workflows import PROMOTE, RECEIVE, RECHALLENGE
from aams.gitops.evidence import Evidence
from aams.gitops.judging import CHECK
from aams.gitops.proposals import Proposal
from aams.gitops.receiving import JUDGED, Done, each, one_of, wake
from aams.gitops.report import MARK, report
from aams.gitops.training import let_go
from aams.gitops.wishes import answer
from aams.gitops.workshop import Site, Workshop, workshop
from safety.clock import utc_now
from safety.eligibility import overdue
from safety.events import Closed, Frozen, Recalled
from safety.lifecycle import Cycle, is_accepted


def arbitrate(site: Site, app: int) -> tuple[Done, ...]:
    """Look at every open proposal once.

    Args:
        app: number of the App whose check is required.
    """
    with workshop(site) as shop:
        for foreign in (one for one in shop.proposals if one.foreign):
            said = Check("failure", "the bot keeps its hands off", f"{foreign.foreign}. Close it, or make it code's.")
            site.repository.ensure_check(foreign.pull.sha, CHECK, app, said)
        closed = [one for one in shop.proposals if not one.foreign and not one.pull.is_open]
        taken = [one_of(shop, one, _take_back) for one in closed]
        done = each(shop, lambda shop, proposal: _arbitrate(shop, proposal, app))
    wake(site, done)
    failed = tuple(one for one in taken if one and one.failed)
    return failed + done if failed or not closed else arbitrate(site, app)


def _take_back(shop: Workshop, proposal: Proposal) -> None:
    """A person closed a proposal: it ends so on record, as whatever was tried counts."""
    if proposal.cycle in shop.lab.state.open_cycles:
        _restore(shop, proposal.cycle)
        abandon(shop.lab, proposal.cycle)
        shop.publish(proposal.cycle, proposal.domain, f"Take {proposal.cycle} back")
    shop.site.repository.turn(proposal.pull.number, "open")


def _restore(shop: Workshop, cycle: str) -> None:
    """Bring a cycle's evidence, to archive it with; without it the cycle ends all the same."""
    with contextlib.suppress(AamsError):
        Evidence(shop.site.repository, cycle).restore(shop.lab)


def _arbitrate(shop: Workshop, proposal: Proposal, app: int) -> Done | None:
    lab, name = shop.lab, proposal.cycle
    if proposal.pull.base != BASE:
        shop.site.repository.retarget(proposal.pull.number)
    cycle = lab.state.open_cycles.get(name)
    done = _move(shop, cycle) if cycle else None
    cycle = lab.state.open_cycles.get(name)
    sha = shop.publish(name, proposal.domain, f"Judge {name}") if done else proposal.pull.sha
    files = f"{shop.site.url.removesuffix('.git')}/raw/{sha}"
    pulls = {one.cycle: one.pull.number for one in shop.proposals}
    if cycle and is_accepted(cycle):
        done = _await_approval(shop, proposal, cycle, sha, app) or done
    shop.site.repository.ensure_comment(proposal.pull.number, MARK, report(lab, name, pulls, files))
    if cycle is None:
        return _let_in(shop, proposal, sha, app)
    return done


def _move(shop: Workshop, cycle: Cycle) -> Done | None:
    """Take one cycle as far as the arbiter can; what was done, if anything was."""
    lab, evidence = shop.lab, Evidence(shop.site.repository, cycle.id)
    late = overdue(cycle, lab.contract, utc_now())
    if late:
        _restore(shop, cycle.id)
        ended = break_off(lab, cycle, "expired", f"it stayed in {cycle.phase} {late:,} s beyond the deadline")
        return Done(cycle.id, f"{ended.outcome}: {ended.reason}")
    if is_accepted(cycle):
        stale = why_stale(lab, cycle)
        if stale:
            decline(lab, cycle.domain, cycle.recalled or cycle.generation, stale)
        return Done(cycle.id, f"declined: {stale}") if stale else None
    if cycle.event not in JUDGED:
        return None
    dispatch = evidence.restore(lab)
    if dispatch is None:
        return Done(cycle.id, "its bundle is not the one on record", failed=True)
    frozen = [facts for facts in lab.facts(cycle.id) if isinstance(facts, Frozen)]
    with tempfile.TemporaryDirectory() as place:
        for earlier in frozen[:-1]:
            if earlier.stage == "attempt" and evidence.has_results(earlier):
                reported = evidence.fetch_results(earlier, Path(place))
                keep_results(dispatch.work.parent / f"{earlier.stage}-{earlier.batch}", reported)
        ended_or_more = judge(lab, dispatch, evidence.fetch_results(frozen[-1], Path(place)))
    if ended_or_more is None:
        evidence.keep_child(lab)
        return Done(cycle.id, "it goes on with more pairs", wakes=(RECEIVE,))
    return Done(cycle.id, f"{ended_or_more.outcome}: {ended_or_more.reason}")


def why_stale(lab: Lab, cycle: Cycle) -> str:
    """Why an accepted verdict does not count any more; "" while it does."""
    now = lab.time(cycle.id)  # by which its second key would be given
    signed = [one.proposer for one in lab.facts(cycle.id) if isinstance(one, Frozen | Recalled) and one.proposer]
    if any(one.statement.expires <= now for one in signed):
        return "the proposer's signature expired before anybody approved it"
    champion = lab.lineage(cycle.domain).champion
    if cycle.opened.parent and (champion is None or champion.generation != cycle.opened.parent):
        return f"{cycle.opened.parent}, which it was tested against, is not the champion any more"
    if not cycle.generation:
        return ""
    try:
        check_archived(lab, cycle)
    except AamsError as error:
        return f"{error.problems[0].path or error.problems[0].file} changed since it was judged"
    return "it was judged under another contract" if decisions_elsewhere(lab, cycle) else ""


def _await_approval(shop: Workshop, proposal: Proposal, cycle: Cycle, sha: str, app: int) -> Done | None:
    """Say that a proposal may be merged, and ask the people who may approve it."""
    lab, repository, pull = shop.lab, shop.site.repository, proposal.pull
    generation = cycle.recalled or cycle.generation
    damage = lab.damage(cycle.domain, generation)
    if damage:
        said = Check("failure", "its archive is damaged", damage)
        repository.ensure_check(sha, CHECK, app, said)
        return Done(cycle.id, f"{generation} is damaged: {damage}", failed=True)
    stands = "is proposed again" if cycle.recalled else "is accepted"
    words = f"{cycle.domain}/{generation} {stands}. An owner's approval of this commit is the second key."
    new = repository.ensure_check(sha, CHECK, app, Check("success", f"{generation} {stands}", words))
    repository.ensure_labels(pull, "promotion")
    repository.ensure_ready(pull)
    repository.ensure_reviewers(pull.number, lab.contract.approvers)
    return Done(cycle.id, f"{generation} {stands} and waits for an owner") if new else None


def _let_in(shop: Workshop, proposal: Proposal, sha: str, app: int) -> Done:
    """Merge what is decided and moves no HEAD: it is a record, and needs nobody's leave."""
    repository, pull = shop.site.repository, proposal.pull
    closed = next(facts for facts in shop.lab.facts(proposal.cycle) if isinstance(facts, Closed))
    words = f"The cycle ended: {closed.outcome}. HEAD does not move."
    repository.ensure_check(sha, CHECK, app, Check("success", f"a record: {closed.outcome}", words))
    repository.ensure_labels(pull, "record")
    repository.ensure_ready(pull)
    answer(shop.site, sha, proposal.cycle, pull.number, closed.outcome)
    repository.merge(replace(pull, sha=sha), f"Record {proposal.cycle}: {closed.outcome}")
    repository.drop_branch(pull.branch)
    wakes = (PROMOTE, *([RECHALLENGE] if closed.outcome == "outdone" else []), *let_go(pull))
    return Done(proposal.cycle, f"{closed.outcome}, merged as a record: {closed.reason}", wakes)
