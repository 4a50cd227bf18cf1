"""One repository on GitHub under one token, as far as AAMS reads and changes it.

Takes plain values, gives plain values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote

from aams.errors import failure
from aams.github.calls import TIMEOUT_S, GitHubError, call
from aams.github.records import Check, PullRequest, Review, WorkflowRun
from safety.clock import FORM

API = "https://api.github.com"
PER_PAGE = 100
BASE = "main"
AUTHOR_NAME, AUTHOR_ADDRESS = "AAMS", "aams@users.noreply.github.com"
"""Who writes what the bot commits and tags. Who may push it is the rulesets' business."""


class Repository:
    """`owner/name`."""

    def __init__(self, name: str, token: str, api: str = API) -> None:
        """Prepare; nothing is asked yet."""
        import github

        self.name = name
        self._github = github.Github(
            auth=github.Auth.Token(token),
            base_url=api,
            timeout=TIMEOUT_S,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
            lazy=True,
        )

    @property
    def api(self) -> Any:
        """PyGithub's own words for the repository; nothing is asked by it."""
        return self._github.get_repo(self.name)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the API for what PyGithub has no words for.

        Args:
            path: below the repository's own, e.g. "/rulesets".

        Returns:
            Its JSON, None where it answers without.

        Raises:
            GitHubError: it refused, or can't be reached.
        """
        url = f"/repos/{self.name}{path}"
        _, data = call(
            f"can't {method} {path or 'the repository'}",
            lambda: self._github.requester.requestJsonAndCheck(method, url, input=dict(body) if body else None),
            repeats=method != "POST",
        )
        return data

    def time(self) -> str:
        """What time GitHub says it is, as entries write it."""
        headers, _ = call(
            "can't ask for the time", lambda: self._github.requester.requestJsonAndCheck("GET", f"/repos/{self.name}")
        )
        return parsedate_to_datetime(headers["date"]).strftime(FORM)

    def find(self, path: str) -> Any:
        """What the API answers; None when there is no such thing."""
        try:
            return self.ask("GET", path)
        except GitHubError as error:
            if error.status == 404:
                return None
            raise

    def every(self, path: str, listed: str = "") -> list[Any]:
        """Every item of a list, page by page; `listed` names it where it lies inside an object."""
        items: list[Any] = []
        link = "&" if "?" in path else "?"
        while True:
            answer = self.ask("GET", f"{path}{link}per_page={PER_PAGE}&page={1 + len(items) // PER_PAGE}")
            found = answer[listed] if listed else answer
            items += found
            if len(found) < PER_PAGE:
                return items

    def tip(self, branch: str) -> str:
        """The commit that a branch is at; "" when there is no such branch."""
        found = self.find(f"/git/ref/heads/{quote(branch)}")
        return str(found["object"]["sha"]) if found else ""

    def branches(self, prefix: str) -> dict[str, str]:
        """Branches whose names begin so, and the commits that they are at."""
        found = self.every(f"/git/matching-refs/heads/{quote(prefix)}")
        return {one["ref"].removeprefix("refs/heads/"): one["object"]["sha"] for one in found}

    def pull_requests(self, state: str = "open", branch: str = "") -> tuple[PullRequest, ...]:
        """Pull requests, oldest first: every open one, or those of a branch of this repository."""
        head = f"&head={quote(self.name.partition('/')[0] + ':' + branch)}" if branch else ""
        return tuple(map(_pull, self.every(f"/pulls?state={state}{head}&sort=created&direction=asc")))

    def ensure_pull_request(self, branch: str, base: str, title: str, body: str, draft: bool) -> PullRequest:
        """The open pull request of a branch of this repository; a new one if there is none."""
        known = [one for one in self.pull_requests(branch=branch) if one.base == base and one.source == self.name]
        if known:
            return known[0]
        wanted = {"head": branch, "base": base, "title": title, "body": body, "draft": draft}
        return _pull(self.ask("POST", "/pulls", wanted))

    def ensure_labels(self, pull: PullRequest, *labels: str) -> None:
        """Have a pull request carry labels, beside others."""
        if not set(labels) <= pull.labels:
            self.ask("POST", f"/issues/{pull.number}/labels", {"labels": sorted(labels)})

    def drop_label(self, pull: PullRequest, label: str) -> None:
        """Have a pull request not carry a label."""
        if label in pull.labels:
            self.ask("DELETE", f"/issues/{pull.number}/labels/{quote(label)}")

    def retarget(self, number: int) -> None:
        """Have a pull request want to go to main."""
        self.ask("PATCH", f"/pulls/{number}", {"base": BASE})

    def drop_branch(self, branch: str) -> None:
        """Have no branch of this name, where GitHub did not delete it with its merge."""
        if self.tip(branch):
            self.ask("DELETE", f"/git/refs/heads/{quote(branch)}")

    def turn(self, number: int, state: Literal["open", "closed"]) -> None:
        """Have a pull request be open, or closed."""
        self.ask("PATCH", f"/pulls/{number}", {"state": state})

    def ensure_comment(self, number: int, mark: str, text: str) -> None:
        """Have one comment of ours begin with a mark and say this; it is made once, and changed after that.

        Args:
            mark: a line that only we begin a comment with.
        """
        body = f"{mark}\n{text}"
        own = [one for one in self.every(f"/issues/{number}/comments") if one["body"].startswith(mark)]
        own = [one for one in own if one["user"]["type"] == "Bot"]
        if not own:
            self.ask("POST", f"/issues/{number}/comments", {"body": body})
        elif own[0]["body"] != body:
            self.ask("PATCH", f"/issues/comments/{own[0]['id']}", {"body": body})

    def ensure_ready(self, pull: PullRequest) -> None:
        """Have a pull request be no draft. Only GraphQL can."""
        if pull.draft:
            call(
                f"can't make #{pull.number} ready for review",
                lambda: self.api.get_pull(pull.number).mark_ready_for_review(),
            )

    def ensure_reviewers(self, number: int, logins: Sequence[str]) -> None:
        """Have a review asked of people."""
        known = self.ask("GET", f"/pulls/{number}/requested_reviewers")["users"]
        missing = sorted(set(logins) - {one["login"] for one in known})
        if missing:
            self.ask("POST", f"/pulls/{number}/requested_reviewers", {"reviewers": missing})

    def reviews(self, number: int) -> tuple[Review, ...]:
        """Every review of a pull request, oldest first."""
        found = self.every(f"/pulls/{number}/reviews")
        return tuple(
            Review(one["id"], one["user"]["login"], one["user"]["type"] == "User", one["state"], one["commit_id"] or "")
            for one in found
            if one["user"]
        )

    def merge(self, pull: PullRequest, title: str) -> str:
        """Merge a pull request at exactly the commit that is known of it; the commit that it was merged by.

        Raises:
            GitHubError: it has moved, or something still keeps it from being merged.
        """
        wanted = {"sha": pull.sha, "merge_method": "merge", "commit_title": title}
        return str(self.ask("PUT", f"/pulls/{pull.number}/merge", wanted)["sha"])

    def ensure_tag(self, name: str, commit: str, message: str, time: str) -> str:
        """An annotated tag of a commit; the digest of the tag's own object.

        Raises:
            AamsError: there is such a tag of another commit.
        """
        ref = self.find(f"/git/ref/tags/{quote(name)}")
        if ref is None:
            tagger = {"name": AUTHOR_NAME, "email": AUTHOR_ADDRESS, "date": time}
            made = {"tag": name, "message": message, "object": commit, "type": "commit", "tagger": tagger}
            tag = str(self.ask("POST", "/git/tags", made)["sha"])
            self.ask("POST", "/git/refs", {"ref": f"refs/tags/{name}", "sha": tag})
            return tag
        tag = str(ref["object"]["sha"])
        if self.ask("GET", f"/git/tags/{tag}")["object"]["sha"] != commit:
            raise failure("is a tag of another commit", name, "find out who made it", file="github")
        return tag

    def ensure_issue(self, title: str, body: str) -> int:
        """Have one open issue of ours with this title say this; its number."""
        known = self._own_issues(title)
        if not known:
            return int(self.ask("POST", "/issues", {"title": title, "body": body})["number"])
        if known[0]["body"] != body:
            self.ask("PATCH", f"/issues/{known[0]['number']}", {"body": body})
        return int(known[0]["number"])

    def settle_issue(self, title: str) -> None:
        """Have no open issue of ours with this title."""
        for one in self._own_issues(title):
            self.ask("PATCH", f"/issues/{one['number']}", {"state": "closed"})

    def _own_issues(self, title: str) -> list[Any]:
        found = self.every("/issues?state=open")
        return [one for one in found if one["title"] == title and one["user"]["type"] == "Bot"]

    def release_tags(self) -> tuple[str, ...]:
        """Tags of every release."""
        return tuple(one["tag_name"] for one in self.every("/releases"))

    def dispatch(self, workflow: str, inputs: Mapping[str, str]) -> None:
        """Start a workflow of main."""
        self.ask("POST", f"/actions/workflows/{workflow}/dispatches", {"ref": BASE, "inputs": dict(inputs)})

    def runs_for(self, workflow: str, title: str) -> tuple[WorkflowRun, ...]:
        """The runs of a workflow whose titles begin with a title's words; newest first."""
        found = self.every(f"/actions/workflows/{workflow}/runs?event=workflow_dispatch", "workflow_runs")
        return tuple(_run(one) for one in found if f"{one['display_title']} ".startswith(f"{title} "))

    def cancel_run(self, run: WorkflowRun) -> None:
        """Have a run end; one that has ended is left as it is."""
        try:
            self.ask("POST", f"/actions/runs/{run.id}/cancel")
        except GitHubError as error:
            if error.status != 409:
                raise

    def check(self, sha: str, name: str, app: int) -> Check | None:
        """What an App's own newest check run of this name says of a commit; None without one that is completed."""
        found = self.every(f"/commits/{sha}/check-runs?check_name={quote(name, safe='')}&app_id={app}", "check_runs")
        own = [run for run in found if run["app"]["id"] == app and run["status"] == "completed"]
        if not own:
            return None
        newest = max(own, key=lambda run: run["id"])
        return Check(newest["conclusion"], newest["output"]["title"] or "", newest["output"]["summary"] or "")

    def ensure_check(self, sha: str, name: str, app: int, wanted: Check) -> bool:
        """Have the App's newest check run of a commit say this; whether one had to be made."""
        if self.check(sha, name, app) == wanted:
            return False
        output = {"title": wanted.title, "summary": wanted.summary}
        run = {"name": name, "head_sha": sha, "status": "completed", "conclusion": wanted.conclusion, "output": output}
        self.ask("POST", "/check-runs", run)
        return True


def _run(data: Mapping[str, Any]) -> WorkflowRun:
    ended = data["status"] == "completed"
    return WorkflowRun(data["id"], str(data["conclusion"] if ended else data["status"]), ended, data["html_url"])


def _pull(data: Mapping[str, Any]) -> PullRequest:
    source = data["head"]["repo"]
    return PullRequest(
        number=data["number"],
        sha=data["head"]["sha"],
        base=data["base"]["ref"],
        branch=data["head"]["ref"],
        source=source["full_name"] if source else "",
        is_open=data["state"] == "open",
        draft=bool(data["draft"]),
        labels=frozenset(label["name"] for label in data["labels"]),
        author=data["user"]["login"] if data["user"] else "",
        merge=(data["merge_commit_sha"] or "") if data["merged_at"] else "",
    )
