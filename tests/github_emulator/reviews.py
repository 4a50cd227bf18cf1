"""Reviews and who is asked for one. https://docs.github.com/en/rest/pulls/reviews

Nobody approves their own pull request, and a GITHUB_TOKEN approves none:
https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/reviewing-changes-in-pull-requests/approving-a-pull-request-with-required-reviews
https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/enabling-features-for-your-repository/managing-github-actions-settings-for-a-repository#preventing-github-actions-from-creating-or-approving-pull-requests
"""

from __future__ import annotations

from dataclasses import replace

from . import as_json
from .pulls import pull_of, shown
from .records import Review
from .refs import fire_pull
from .routing import Answer, RefusalError, Request, Route
from .rules import diff_digest

WRITES = ("pull-requests",)
STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def list_reviews(request: Request) -> Answer:
    """In order of time: https://docs.github.com/en/rest/pulls/reviews#list-reviews-for-a-pull-request"""
    pull, repository = pull_of(request), request.repository
    reviews = [review for review in repository.reviews.values() if review.pull == pull.number]
    return Answer([as_json.review(request.site, repository, review) for review in reviews])


def get_review(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/reviews#get-a-review-for-a-pull-request"""
    return Answer(as_json.review(request.site, request.repository, _review(request)))


def create_review(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/reviews#create-a-review-for-a-pull-request"""
    site, repository, identity, pull = request.site, request.repository, request.identity, pull_of(request)
    event, body = request.field("event"), request.body.get("body") or ""
    if event not in STATES:
        raise RefusalError(422, "Unprocessable Entity", [f"Variable $event of type PullRequestReviewEvent was {event}"])
    if event != "COMMENT" and identity.login == repository.issues[pull.number].author:
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise RefusalError(422, "Unprocessable Entity", [f"Can not {verb} your own pull request"])
    if event == "APPROVE" and identity.kind == "actions":
        raise RefusalError(422, "Unprocessable Entity", ["GitHub Actions is not permitted to approve pull requests."])
    if event != "APPROVE" and not body:
        raise RefusalError(422, "Unprocessable Entity", ["Body can't be blank"])
    commit = request.body.get("commit_id") or pull.head
    if not repository.git.is_ancestor(commit, pull.head):
        raise RefusalError(422, "Unprocessable Entity", ["The commit_id is not part of the pull request"])
    diff = diff_digest(repository, replace(pull, head=commit))
    review = Review(site.next_id(), pull.number, identity, STATES[event], body, commit, diff, site.now())
    repository.reviews[review.id] = review
    waiting = tuple(login for login in pull.reviewers if login != identity.login)
    pull = repository.pulls[pull.number] = replace(pull, reviewers=waiting)
    _fire(request, review, "submitted")
    return Answer(as_json.review(site, repository, review))


def dismiss_review(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/reviews#dismiss-a-review-for-a-pull-request"""
    request.field("message")
    review = _review(request)
    if review.state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise RefusalError(
            422, "Unprocessable Entity", [f"Can not dismiss a {review.state.lower()} pull request review"]
        )
    review = request.repository.reviews[review.id] = replace(review, state="DISMISSED")
    _fire(request, review, "dismissed")
    return Answer(as_json.review(request.site, request.repository, review))


def request_reviewers(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/review-requests#request-reviewers-for-a-pull-request"""
    repository, pull = request.repository, pull_of(request)
    asked = tuple(request.body.get("reviewers", ()))
    if repository.issues[pull.number].author in asked:
        raise RefusalError(422, "Review cannot be requested from pull request author.")
    if not set(asked) <= set(repository.collaborators):
        raise RefusalError(422, "Reviews may only be requested from collaborators.")
    pull = repository.pulls[pull.number] = replace(pull, reviewers=tuple(dict.fromkeys((*pull.reviewers, *asked))))
    for login in asked:
        user = as_json.user(request.site, login)
        fire_pull(request.site, repository, pull, "review_requested", request.identity, requested_reviewer=user)
    return shown(request, pull.number, 201)


def list_reviewers(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/review-requests#get-all-requested-reviewers-for-a-pull-request"""
    return Answer({"users": [as_json.user(request.site, login) for login in pull_of(request).reviewers], "teams": []})


def remove_reviewers(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/review-requests#remove-requested-reviewers-from-a-pull-request"""
    pull, gone = pull_of(request), request.field("reviewers")
    kept = tuple(login for login in pull.reviewers if login not in gone)
    request.repository.pulls[pull.number] = replace(pull, reviewers=kept)
    return shown(request, pull.number)


def _review(request: Request) -> Review:
    review = request.repository.reviews.get(int(request.parameters["review"]))
    if review is None or review.pull != request.number:
        raise RefusalError(404, "Not Found")
    return review


def _fire(request: Request, review: Review, action: str) -> None:
    pull = request.repository.pulls[review.pull]
    body = as_json.review(request.site, request.repository, review)
    body["state"] = body["state"].lower()
    fire_pull(request.site, request.repository, pull, action, request.identity, "pull_request_review", review=body)


HERE = "/repos/{owner}/{repo}/pulls/{number:int}"
ROUTES = (
    Route("GET", HERE + "/reviews", list_reviews),
    Route("POST", HERE + "/reviews", create_review, "read", WRITES),
    Route("GET", HERE + "/reviews/{review:int}", get_review),
    Route("PUT", HERE + "/reviews/{review:int}/dismissals", dismiss_review, "write", WRITES),
    Route("GET", HERE + "/requested_reviewers", list_reviewers),
    Route("POST", HERE + "/requested_reviewers", request_reviewers, "triage", WRITES),
    Route("DELETE", HERE + "/requested_reviewers", remove_reviewers, "triage", WRITES),
)
