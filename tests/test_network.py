"""Tests never leave this machine: what asks for GitHub, Kaggle or anybody else is stopped, and told so."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import urllib.request
from collections.abc import Callable

import pytest

HOSTS = ("api.github.com", "github.com", "uploads.github.com", "www.kaggle.com", "example.org", "192.0.2.1")


def by_name(host: str) -> None:
    socket.getaddrinfo(host, 443)


def by_connecting(host: str) -> None:
    socket.create_connection((host, 443), 0.1)


def by_client(host: str) -> None:
    http.client.HTTPSConnection(host, timeout=0.1).connect()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("ask", [by_name, by_connecting, by_client])
def test_a_test_that_asks_for_another_host_fails(ask: Callable[[str], None], host: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="tests never leave this machine"):
        ask(host)


def test_what_a_test_starts_is_sent_to_a_closed_port() -> None:
    proxies = urllib.request.getproxies()
    assert {proxies["http"], proxies["https"]} == {"http://127.0.0.1:9"}
    nobodys = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    asking = ["git", "ls-remote", "https://github.com/actions/checkout"]
    asked = subprocess.run(asking, env=nobodys, capture_output=True, text=True, timeout=30)
    assert asked.returncode and "127.0.0.1 port 9" in asked.stderr, asked.stderr
