"""The path policy: what a change may touch is decided by names and modes alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.paths import Change, check_paths, kind_of

SPEC = "specs/language/candidates/wide.yaml"
NAMES = ("README.md", "aams/cli.py", "specs/language/champion.yaml")


def whats(*changes: Change, names: tuple[str, ...] = NAMES) -> list[str]:
    return [found.what for found in check_paths(changes, {*names, *(one.path for one in changes if one.mode)})]


def new(path: str, mode: str = "100644") -> Change:
    return Change(path, mode, "")


def edited(path: str) -> Change:
    return Change(path, "100644", "100644")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ((new(SPEC),), "spec"),
        ((edited("specs/vision/champion.yaml"),), "spec"),
        ((edited("aams/cli.py"), new("safety/gates/new.py"), edited("safety/contract.yaml")), "code"),
        ((edited("specs/README.md"), edited("logs/README.md")), "code"),
        ((Change("docs/log.md", "", "100644"), new(".ci/run", "100755")), "code"),
    ],
)
def test_a_plain_change_has_a_kind_and_nothing_against_it(changes: tuple[Change, ...], kind: str) -> None:
    assert (kind_of(changes), whats(*changes)) == (kind, [])


@pytest.mark.parametrize(
    "beside",
    [
        "safety/contract.yaml",
        ".github/workflows/evaluate.yml",
        ".github/CODEOWNERS",
        "compiler/ops/attention.py.j2",
        "specs/vision/candidates/other.yaml",
        "safety/allowed_signers",
    ],
)
def test_a_spec_brings_nothing_else(beside: str) -> None:
    assert kind_of((new(SPEC), edited(beside))) == "mixed"
    assert whats(new(SPEC), edited(beside)) == ["a spec comes alone, one at a time, and so does code"]


@pytest.mark.parametrize(
    "path",
    [
        "logs/cycles/language-0/01-opened.json",
        "logs/lineage.csv",
        "specs/history/language/G000-20261121-010000/spec.yaml",
        "specs/language/HEAD",
        "specs/elsewhere/HEAD",
        "docs/metrics.json",
        "docs/data/experiments-0000.json",
    ],
)
def test_nobody_but_aams_writes_records(path: str) -> None:
    for change in (new(path), edited(path), Change(path, "", "100644")):
        assert kind_of((change,)) == "record"
        assert whats(change) == ["is a record, and only AAMS writes records"]


@pytest.mark.parametrize("mode", ["120000", "160000", "040000", "100664"])
@pytest.mark.parametrize("path", [SPEC, "aams/new.py", "docs/page.js"])
def test_only_regular_files_come_in(path: str, mode: str) -> None:
    assert "is not a regular file" in whats(new(path, mode))


@pytest.mark.parametrize(
    "path",
    [
        "aams/$(id).py",
        "aams/`id`.py",
        "-rf",
        "docs/--upload-pack=x",
        "aams/new line\n::set-output.py",
        "aams/\u202egnp.py",
        "aams/é.py",
        "a/../b",
        "a//b",
        "/etc/passwd",
        ".git/hooks/update",
        "sub/.GIT/config",
        "a\\b",
        "a b",
        "x" * 201,
        "",
    ],
)
def test_a_name_is_plain(path: str) -> None:
    found = check_paths((new(path),), {path})
    assert "is not a plain name" in [one.what for one in found]
    assert all(one.subject.isascii() and one.subject.isprintable() for one in found)


@pytest.mark.parametrize(
    "path",
    [
        "specs/language/candidates/Wide.yaml",
        "specs/language/candidates/wide.yml",
        "specs/language/candidates/deep/wide.yaml",
        "specs/language/champion.yaml.bak",
        "specs/audio/champion.yaml",
        "specs/language/candidates/.yaml",
        f"specs/language/candidates/{'x' * 64}.yaml",
    ],
)
def test_a_spec_has_its_place(path: str) -> None:
    assert whats(new(path)) == ["is no place for a spec"]


@pytest.mark.parametrize("change", [Change(SPEC, "", "100644"), new(SPEC, "100755")])
def test_a_spec_stays_a_spec(change: Change) -> None:
    assert whats(change) == ["must stay a spec"]


def test_two_names_differ_by_more_than_their_case() -> None:
    assert whats(new("AAMS/cli.py")) == ["differs from another name by case only"]
    assert whats(edited("README.md"), names=("docs/x", "docs/X")) == [], "what was there before is not this change's"


def test_a_change_changes_something() -> None:
    assert (kind_of(()), whats()) == ("nothing", ["changes nothing"])


@given(
    st.lists(
        st.builds(Change, st.text(max_size=30), st.sampled_from(["", "100644", "120000"]), st.just("")), max_size=4
    )
)
def test_whatever_passes_is_code_or_one_spec_in_plain_files(changes: list[Change]) -> None:
    if not check_paths(changes, {one.path for one in changes}):
        assert kind_of(changes) in ("code", "spec")
        assert all(one.path.isascii() and one.mode in ("", "100644") for one in changes)
