"""One repository on GitHub under one token, as far as AAMS reads and changes it.

Takes plain values, gives plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aams.github.calls import TIMEOUT_S, call
from aams.github.records import Check, PullRequest

API = "https://api.github.com"
PER_PAGE = 100


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
        )

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

    def pull_requests(self) -> tuple[PullRequest, ...]:
        """Every open pull request, oldest first."""
        found = self.every("/pulls?state=open&sort=created&direction=asc")
        return tuple(PullRequest(one["number"], one["head"]["sha"], one["base"]["ref"]) for one in found)

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
