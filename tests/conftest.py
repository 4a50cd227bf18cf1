"""What every room shares: no network, golden files, a clock to set, a strategy that draws valid specs, emulators."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import sys
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

import safety.clock
from compiler.fields import REQUIRED, Choice, Field, Flag, Float, Group, Int, Many, Slot
from compiler.identity import full, replaced
from compiler.ops import OPS
from compiler.skeletons import SKELETONS, grammar
from domains import active_interface

GOLDEN = Path(__file__).parent / "golden"

SMALL = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
"""Whole numbers that divide each other often."""

LONGEST = {"repeat": 3, "blocks": 2, "stages": 2}

NOWHERE = "http://127.0.0.1:9"
PROXIES = {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": "127.0.0.1,localhost"}
settings.register_profile("aams", deadline=None)  # a busy machine fails nothing
settings.load_profile("aams")
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname")
SENDS = ("socket.connect", "socket.sendmsg", "socket.sendto")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden instead of comparing with it")


def pytest_configure() -> None:
    """Keep tests on this machine: what asks for another one fails here, and in subprocesses meets a closed port."""
    sys.addaudithook(_refuse_other_hosts)
    os.environ.update(PROXIES, **{name.upper(): value for name, value in PROXIES.items()})


def _refuse_other_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    if event in LOOKUPS:
        host = arguments[0]
    elif event in SENDS and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if isinstance(host, str) and not _is_loopback(host):
        pytest.fail(f"a test asks for {host}: tests never leave this machine")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with tests/golden/NAME, or writes it there under --update-golden."""
    update = request.config.getoption("--update-golden")

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
        assert path.is_file(), f"no {path.name} yet: run pytest with --update-golden, then read what it wrote"
        assert text == path.read_text(encoding="ascii"), "if this change is meant, run pytest with --update-golden"

    return check


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Stops the clock of this process at a time."""

    def stop(time: str) -> None:
        class Stopped(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return datetime.strptime(time, safety.clock.FORM).replace(tzinfo=tz)

        monkeypatch.setattr(safety.clock, "datetime", Stopped)

    return stop


@pytest.fixture(scope="session")
def github_emulator() -> ModuleType:
    """The emulator of tests/github_emulator: `github_emulator.GitHubEmulator(folder)`, to be closed after use."""
    return _emulator("github_emulator")


@pytest.fixture(scope="session")
def kaggle_emulator() -> ModuleType:
    """The emulator of tests/kaggle_emulator: `kaggle_emulator.KaggleEmulator(folder)`, to be closed after use."""
    return _emulator("kaggle_emulator")


def _emulator(name: str) -> ModuleType:
    """Tests are no packages, so an emulator is loaded as one here: its modules import each other by its name."""
    folder = Path(__file__).parent / name
    place = {"submodule_search_locations": [str(folder)]}
    specification = importlib.util.spec_from_file_location(folder.name, folder / "emulator.py", **place)
    assert specification and specification.loader
    module = sys.modules[folder.name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def valid_trees() -> Callable[[str], SearchStrategy[dict[str, Any]]]:
    """Gives the strategy that draws small valid specs of a domain, as written: some defaults out, some in."""
    return _valid_trees


@st.composite
def _valid_trees(draw: DrawFn, domain: str) -> dict[str, Any]:
    tree = draw(_mappings(grammar(domain)))
    skeleton = SKELETONS[domain]
    interface = active_interface(domain)
    assume(not list(skeleton.check(full(tree), interface)))
    while True:
        sites = skeleton.sites(full(tree)["model"], interface)
        misfit = next((site for site in sites if list(OPS[site.kind][site.op["op"]].check(site.op, site.place))), None)
        if misfit is None:
            return tree
        tree = replaced(tree, misfit.path, draw(_ops(misfit.kind)))
        assume(not list(skeleton.check(full(tree), interface)))


@st.composite
def _mappings(draw: DrawFn, fields: tuple[Field, ...]) -> dict[str, Any]:
    return {field.name: draw(_values(field)) for field in fields if _is_required(field) or draw(st.booleans())}


def _is_required(field: Field) -> bool:
    return isinstance(field, Group | Many) or field.default is REQUIRED


@st.composite
def _ops(draw: DrawFn, kind: str) -> dict[str, Any]:
    op = draw(st.sampled_from(list(OPS[kind].values())))
    return {"op": op.name, **draw(_mappings(op.fields))}


def _values(field: Field) -> SearchStrategy[Any]:
    match field:
        case Int():
            high = min(field.high, max(LONGEST.get(field.name, 64), field.low))
            steps = {field.low, *(step * field.multiple for step in SMALL), *SMALL}
            return st.sampled_from(sorted(step for step in steps if _fits(field, step) and step <= high))
        case Float():
            return st.floats(field.low, field.high)
        case Choice():
            return st.sampled_from(field.options)
        case Flag():
            return st.booleans()
        case Slot():
            return _ops(field.kind)
        case Group():
            return _mappings(field.fields)
        case Many():
            return st.lists(_mappings(field.item.fields), min_size=field.low, max_size=LONGEST[field.name])


def _fits(field: Int, value: int) -> bool:
    return field.low <= value <= field.high and value % field.multiple == 0
