"""A proposal: a cycle's first bundle, its branch and its draft pull request.

Takes what is asked for, gives the pull request. One open proposal holds its domain, and whoever asks meanwhile is told
which; one that waits for its approval holds it against attempts only. Torch is wanted by who proposes, not by who asks
whether it is time to.
"""

from __future__ import annotations

from collections.abc import Iterator

from aams.cycle import ELSEWHERE, Ended, Request, due, recall, rechallenge, roll_back, scheduled
from aams.cycle import propose as propose_cycle
from aams.cycle.lab import PERSON
from aams.dispatch import Dispatch
from aams.errors import AamsError, failure
from aams.github.calls import GitHubError
from aams.github.records import ProposalLane, PullRequest
from aams.github.repository import BASE
from aams.github.workflows import EVALUATE
from aams.gitops.evidence import Evidence
from aams.gitops.proposals import Proposal, branch_of
from aams.gitops.report import first_words, title_of
from aams.gitops.training import HOSTED, ask_for_training, label_of, lane_of
from aams.gitops.wishes import Wish, grant, lay_down, read_wish, refuse, subject_of, wished
from aams.gitops.workshop import Site, Workshop, workshop
from aams.records import Finding
from domains import DOMAINS
from evaluator.markdown import block
from safety.eligibility import SCHEDULE, holder, is_explorable

LABEL = "aams"
BY_HAND = "by-hand"


def missing(site: Site, children: int) -> dict[str, tuple[Finding, ...]]:
    """What stands against a scheduled cycle now, by domain, but for the key; nothing where one is due."""
    with workshop(site) as shop:
        found = {domain: _due(shop, domain, children)[1] for domain in DOMAINS}
        return {domain: tuple(one for one in against if one.gate != "keys") for domain, against in found.items()}


def propose(site: Site, request: Request, lane: ProposalLane) -> PullRequest:
    """Open a person's proposal.

    Raises:
        AamsError: another proposal holds the domain, or something stands against it.
    """
    with workshop(site) as shop:
        held = _holder(shop, request.domain)
        if held:
            raise _held(held, request.domain)
        return _open(shop, request.domain, propose_cycle(shop.lab, request), lane)


def propose_scheduled(
    site: Site, domain: str, children: int, lane: ProposalLane
) -> tuple[PullRequest | None, tuple[Finding, ...]]:
    """Open the schedule's proposal, whose seed comes from what is on record; or say what stands against it."""
    with workshop(site) as shop:
        request, found = _due(shop, domain, children)
        return (None, found) if found else (_open(shop, domain, propose_cycle(shop.lab, request), lane), ())


def propose_wished(site: Site) -> tuple[PullRequest, ...]:
    """Open a proposal for every spec that is wished for and whose domain is free; say why of those that can't be."""
    opened = []
    for pull in wished(site.repository):
        with workshop(site) as shop:
            try:
                wish = read_wish(shop, pull)
                if _holder(shop, wish.domain):
                    continue
                request = Request(wish.domain, pull.number, 1, BY_HAND, lay_down(shop, wish), ELSEWHERE)
                proposal = _open(shop, wish.domain, propose_cycle(shop.lab, request), lane_of(pull), wish)
            except GitHubError:
                raise
            except AamsError as error:
                refuse(site.repository, pull, f"It can't be tried:\n\n{block(str(error))}")
                continue
            grant(site.repository, wish, proposal)
            opened.append(proposal)
    return tuple(opened)


def challenge(site: Site, domain: str, lane: ProposalLane, asked: bool) -> PullRequest | None:
    """Open a re-challenge of a champion if it is due, or a rollback if it lost one, and nothing is open beside it.

    Args:
        asked: by a person, who waits for nothing, and is told why it can't be.

    Raises:
        AamsError: it can't be: a person asked for what is not to be had, or the month's compute is spoken for.
    """
    with workshop(site) as shop:
        held = next(_holding(shop, domain), None)
        if held and asked:
            raise _held(held.pull, domain)
        if held:
            return None
        if shop.lab.lineage(domain).outdone:
            return _open(shop, domain, recall(shop.lab, domain), lane)
        if not asked and not due(shop.lab, domain):
            return None
        return _open(shop, domain, rechallenge(shop.lab, domain, PERSON if asked else SCHEDULE), lane)


def propose_rollback(site: Site, domain: str, generation: str, reason: str) -> PullRequest:
    """Open a person's wish to have an earlier champion again.

    Raises:
        AamsError: it can't be rolled back to, or another proposal is open in the domain.
    """
    with workshop(site) as shop:
        held = next(_holding(shop, domain), None)
        if held:
            raise _held(held.pull, domain)
        return _open(shop, domain, roll_back(shop.lab, domain, generation, reason), HOSTED)


def send(shop: Workshop, dispatch: Dispatch, domain: str, message: str) -> None:
    """Let a bundle go on record and to compute: evidence first, as nothing on record may lack it."""
    Evidence(shop.site.repository, dispatch.cycle).keep_bundle(dispatch)
    shop.publish(dispatch.cycle, domain, message)


def _open(
    shop: Workshop, domain: str, step: Dispatch | Ended, lane: ProposalLane, wish: Wish | None = None
) -> PullRequest:
    repository, cycle = shop.site.repository, step.cycle
    if isinstance(step, Dispatch):
        words = f"\n\n{wish.words}" if wish else ""
        send(shop, step, domain, f"{subject_of(cycle)}{words}")
    else:
        shop.publish(cycle, domain, subject_of(cycle))
    words = first_words(shop.lab, cycle, domain)
    words = f"{wish.words}\n\n{words}" if wish else words
    branch = branch_of(domain, cycle)
    pull = repository.ensure_pull_request(branch, BASE, title_of(shop.lab, cycle, domain), words, draft=True)
    repository.ensure_labels(pull, LABEL, *([] if lane == HOSTED else [label_of(lane)]))
    if isinstance(step, Dispatch):
        ask_for_training(repository, lane, cycle, step.stage, step.batch)
    else:
        repository.dispatch(EVALUATE, {})
    return pull


def _due(shop: Workshop, domain: str, children: int) -> tuple[Request, tuple[Finding, ...]]:
    """The schedule's next cycle, and what stands against it."""
    request, found = scheduled(shop.lab, domain, children)
    held = _holder(shop, domain)
    if held:
        what, advice = "an open proposal holds it", "wait until it is decided"
        found = (Finding("lock", domain, what, f"#{held.number}", advice), *found)
    return request, found


def _held(pull: PullRequest, domain: str) -> AamsError:
    return failure(f"an open proposal holds {domain}", f"#{pull.number}", "wait until it is decided")


def _holder(shop: Workshop, domain: str) -> PullRequest | None:
    """The proposal that nothing is tried beside in a domain."""
    waits = holder(shop.lab.state, domain) if is_explorable(shop.lab.state, domain) else None
    return next((one.pull for one in _holding(shop, domain) if waits is None or one.cycle != waits.id), None)


def _holding(shop: Workshop, domain: str) -> Iterator[Proposal]:
    """The proposals of a domain that are not decided; a person's branch that was closed is nobody's business."""
    return (one for one in shop.proposals if one.domain == domain and (one.pull.is_open or not one.foreign))
