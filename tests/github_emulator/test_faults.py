"""Outages, limits, the log of requests and the clock."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest


def test_a_failure_happens_as_often_as_it_was_asked_for(stage, refused):
    repo = stage.repo("bot")
    stage.site.fail_next("POST", r"/issues$", 503, times=2)
    for _ in range(2):
        with refused(503):
            repo.create_issue("lost")
    assert repo.create_issue("kept").number == 1


def test_an_answer_can_be_lost_after_the_request_was_carried_out(stage, refused):
    repo = stage.repo("bot")
    stage.site.fail_next("POST", r"/issues$", 502, carried_out=True)
    with refused(502):
        repo.create_issue("there")
    assert [issue.title for issue in repo.get_issues()] == ["there"]


def test_too_many_requests_say_when_to_come_back(stage, refused):
    github = pytest.importorskip("github")
    stage.site.fail_next("*", r"/repos/", 429, retry_after_s=3)
    with pytest.raises(github.GithubException) as caught:
        stage.repo("bot")
    assert caught.value.headers["retry-after"] == "3"


def test_a_hang_is_met_by_the_clients_timeout(stage):
    requests = pytest.importorskip("requests")
    stage.site.fail_next("GET", r"/repos/", "timeout")
    with pytest.raises(requests.exceptions.ReadTimeout):
        stage.repo("bot", timeout=1)
    assert stage.repo("bot").full_name == "ann/lab"


def test_git_meets_outages_too(stage):
    stage.site.fail_next("GET", r"info/refs", 500)
    assert "500" in stage.git("ls-remote", stage.site.git_url("ann/lab"), status=128)


def test_requests_are_logged_with_who_asked_and_what_they_got(stage, refused):
    with refused(404):
        stage.client("dev").get_repo("ann/missing")
    last = stage.site.requests[-1]
    assert (last.method, last.path, last.status, last.login) == ("GET", "/repos/ann/missing", 404, "dev")


def test_the_rate_limit_counts_down(stage):
    client = stage.client("ann")
    client.get_repo("ann/lab")
    before = client.rate_limiting
    client.get_repo("ann/lab")
    assert (before[0] - 1, before[1]) == client.rate_limiting


def test_the_clock_is_the_tests(github_emulator, tmp_path):
    requests = pytest.importorskip("requests")
    then = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    with github_emulator.GitHubEmulator(tmp_path, actions=False, clock=lambda: then) as site:
        site.repository("ann/lab")
        answer = requests.get(f"{site.url}/repos/ann/lab/commits/main", timeout=10)
    assert answer.headers["date"] == "Tue, 06 May 2031 07:08:09 GMT"
    assert answer.json()["commit"]["author"]["date"].startswith("2031-05-06T07:08:09")


def test_it_resolves_no_name_and_listens_on_the_loopback_only(github_emulator, tmp_path, monkeypatch):
    def resolve(*arguments):
        raise AssertionError(f"looked up {arguments}")

    for name in ("getaddrinfo", "gethostbyaddr", "gethostbyname", "getfqdn"):
        monkeypatch.setattr(socket, name, resolve)
    with github_emulator.GitHubEmulator(tmp_path, actions=False) as site:
        assert site.url.startswith("http://127.0.0.1:")
