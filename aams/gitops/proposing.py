"""A proposal: a cycle's first bundle, its branch and its draft pull request.

Takes what is asked for, gives the pull request. One open proposal holds its domain, and whoever asks meanwhile is told
which. Torch is wanted only by who proposes, not by who asks whether it is time to.
"""

from __future__ import annotations

from aams.cycle import ELSEWHERE, Ended, Request, rechallenge, scheduled
from aams.cycle import due as rechallenge_due
from aams.cycle import propose as propose_cycle
from aams.dispatch import Dispatch
from aams.errors import AamsError, failure
from aams.github.calls import GitHubError
from aams.github.records import PullRequest
from aams.github.repository import BASE
from aams.gitops.evidence import Evidence
from aams.gitops.proposals import branch_of
from aams.gitops.report import first_words
from aams.gitops.training import ask_for_training
from aams.gitops.wishes import Wish, grant, lay_down, read_wish, refuse, subject_of, wished
from aams.gitops.workshop import Site, Workshop, workshop
from aams.records import Finding
from domains import DOMAINS
from evaluator.markdown import block
from safety.eligibility import SCHEDULE

LABEL = "aams"
BY_HAND = "by-hand"


def missing(site: Site, children: int) -> dict[str, tuple[Finding, ...]]:
    """What stands against a scheduled cycle now, by domain, but for the key; nothing where one is due."""
    with workshop(site) as shop:
        found = {domain: _due(shop, domain, children)[1] for domain in DOMAINS}
        return {domain: tuple(one for one in against if one.gate != "keys") for domain, against in found.items()}


def propose(site: Site, request: Request) -> PullRequest:
    """Open a person's proposal.

    Raises:
        AamsError: another proposal holds the domain, or something stands against it.
    """
    with workshop(site) as shop:
        held = _holder(shop, request.domain)
        if held:
            raise failure(f"an open proposal holds {request.domain}", f"#{held.number}", "wait until it is decided")
        return _open(shop, request.domain, propose_cycle(shop.lab, request))


def propose_scheduled(site: Site, domain: str, children: int) -> tuple[PullRequest | None, tuple[Finding, ...]]:
    """Open the schedule's proposal, whose seed comes from what is on record; or say what stands against it."""
    with workshop(site) as shop:
        request, found = _due(shop, domain, children)
        return (None, found) if found else (_open(shop, domain, propose_cycle(shop.lab, request)), ())


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
                proposal = _open(shop, wish.domain, propose_cycle(shop.lab, request), wish)
            except GitHubError:
                raise
            except AamsError as error:
                refuse(site.repository, pull, f"It can't be tried:\n\n{block(str(error))}")
                continue
            grant(site.repository, wish, proposal)
            opened.append(proposal)
    return tuple(opened)


def challenge(site: Site, domain: str) -> PullRequest | None:
    """Open a re-challenge of a champion, if it is due and nothing holds the domain."""
    with workshop(site) as shop:
        if _holder(shop, domain) or not rechallenge_due(shop.lab, domain):
            return None
        return _open(shop, domain, rechallenge(shop.lab, domain, SCHEDULE))


def send(shop: Workshop, dispatch: Dispatch, domain: str, message: str) -> None:
    """Let a bundle go on record and to compute: evidence first, as nothing on record may lack it."""
    Evidence(shop.site.repository, dispatch.cycle).keep_bundle(dispatch)
    shop.publish(dispatch.cycle, domain, message)


def _open(shop: Workshop, domain: str, step: Dispatch | Ended, wish: Wish | None = None) -> PullRequest:
    repository, cycle = shop.site.repository, step.cycle
    if isinstance(step, Dispatch):
        words = f"\n\n{wish.words}" if wish else ""
        send(shop, step, domain, f"{subject_of(cycle)}{words}")
    else:
        shop.publish(cycle, domain, f"Record {cycle}: {step.outcome}")
    words = first_words(shop.lab, cycle, domain)
    words = f"{wish.words}\n\n{words}" if wish else words
    branch = branch_of(domain, cycle)
    pull = repository.ensure_pull_request(branch, BASE, f"{domain}: cycle {cycle}", words, draft=True)
    repository.ensure_labels(pull, LABEL)
    if isinstance(step, Dispatch):
        ask_for_training(repository, cycle, step.stage, step.batch)
    return pull


def _due(shop: Workshop, domain: str, children: int) -> tuple[Request, tuple[Finding, ...]]:
    """The schedule's next cycle, and what stands against it."""
    request, found = scheduled(shop.lab, domain, children)
    held = _holder(shop, domain)
    if held:
        what, advice = "an open proposal holds it", "wait until it is decided"
        found = (Finding("lock", domain, what, f"#{held.number}", advice), *found)
    return request, found


def _holder(shop: Workshop, domain: str) -> PullRequest | None:
    """The proposal that holds a domain."""
    holding = (one.pull for one in shop.proposals if one.domain == domain and (one.pull.is_open or not one.foreign))
    return next(holding, None)
