"""What the bot says in pull requests, and whose approval counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.cycle.lab import baseline
from aams.github.records import Review
from aams.gitops.drawings import change_drawing
from aams.gitops.promotion import approval
from compiler.identity import full, replaced
from evaluator.markdown import block, code, line
from safety.contract import load_contract

CONTRACT = replace(load_contract(Path(__file__).parents[2] / "safety" / "contract.yaml"), approvers=("ann", "Bob"))
SHA, OTHER = "a" * 40, "b" * 40
REVIEW = Review(1, "ann", True, "APPROVED", SHA)


@given(st.text())
def test_no_text_leaves_its_block(text: str) -> None:
    shown = block(text)
    fence = shown[: len(shown) - len(shown.lstrip("`"))]
    inside = shown.removeprefix(f"{fence}text\n").removesuffix(f"\n{fence}")
    assert shown.isascii() and len(fence) >= 3 and fence not in inside


@given(st.text())
def test_no_text_leaves_its_line_of_code_or_a_tables_cell(text: str) -> None:
    shown = code(text)
    assert shown.isascii() and shown.isprintable() and shown.count("`") == 2 and "|" not in shown
    assert line(text).isprintable()


@pytest.mark.parametrize("domain", ["language", "vision", "hybrid"])
def test_a_drawing_of_the_same_architecture_marks_nothing(domain: str) -> None:
    tree = baseline(domain).tree
    assert "  class n" not in change_drawing(tree, tree)


@pytest.mark.parametrize("domain", ["language", "vision", "hybrid"])
def test_a_drawing_shows_what_is_new_beside_what_is_gone(domain: str) -> None:
    tree = full(baseline(domain).tree)
    path = {
        "language": ("model", "width"),
        "vision": ("model", "stem", "width"),
        "hybrid": ("model", "vision", "stem", "width"),
    }
    drawn = change_drawing(tree, replaced(tree, path[domain], 96))
    assert drawn.count(" added\n") == 1 == drawn.count(" removed\n")
    assert "width 96" in drawn and drawn.startswith("```mermaid\nflowchart TD\n") and drawn.endswith("\n```")


def test_an_approval_counts_of_an_allowed_person_on_the_judged_commit() -> None:
    assert approval(CONTRACT, (REVIEW,), SHA) == REVIEW
    assert approval(CONTRACT, (replace(REVIEW, login="bob"),), SHA), "GitHub's logins know no case"


@pytest.mark.parametrize(
    "reviews",
    [
        (),
        (replace(REVIEW, login="eve"),),
        (replace(REVIEW, is_person=False),),
        (replace(REVIEW, sha=OTHER),),
        (replace(REVIEW, state="COMMENTED"),),
        (replace(REVIEW, state="DISMISSED"),),
        (REVIEW, replace(REVIEW, id=2, state="CHANGES_REQUESTED")),
        (REVIEW, replace(REVIEW, id=2, state="DISMISSED")),
    ],
    ids=["none", "not allowed", "a bot", "another commit", "a comment", "dismissed", "taken back", "dismissed later"],
)
def test_other_words_are_no_approval(reviews: tuple[Review, ...]) -> None:
    assert approval(CONTRACT, reviews, SHA) is None
    assert approval(replace(CONTRACT, approvers=()), (REVIEW,), SHA) is None


def test_a_comment_after_an_approval_does_not_take_it_back() -> None:
    assert approval(CONTRACT, (REVIEW, replace(REVIEW, id=2, state="COMMENTED")), SHA) == REVIEW
