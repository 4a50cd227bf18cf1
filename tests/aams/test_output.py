from __future__ import annotations

import json
from argparse import Namespace

import pytest

from aams.commands.output import complain, emit, note, printable, table
from aams.errors import AamsError, Problem


def test_json_is_one_object_in_ascii_and_the_lines_stay_away(capsys: pytest.CaptureFixture[str]) -> None:
    emit(Namespace(json=True), {"file": "caf\u00e9\x1b[31m\udcff", "rows": [1, 2.5, None]}, ["a line"])
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"file": "caf\u00e9\x1b[31m\udcff", "rows": [1, 2.5, None]}
    assert printed.isascii()
    assert printed.count("\n") == 1 and "\x1b" not in printed


def test_a_number_that_json_lacks_is_a_bug_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit(Namespace(json=True), {"loss": float("nan")}, [])
    assert capsys.readouterr().out == ""


def test_lines_are_printed_without_what_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    emit(Namespace(json=False), {}, ["plain", "red \x1b[31m", "turned \u202e", "\x9b2J", "ünïcödé →"])
    assert capsys.readouterr().out == "plain\nred \\u001b[31m\nturned \\u202e\n\\u009b2J\nünïcödé →\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain text, ünïcödé", "plain text, ünïcödé"),
        ("bell\a back\b", "bell\\u0007 back\\u0008"),
        ("carriage\rreturn", "carriage\\u000dreturn"),
        ("escape\x1b]0;title\a", "escape\\u001b]0;title\\u0007"),
        ("delete\x7f", "delete\\u007f"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("turned\u202earound", "turned\\u202earound"),
        ("not utf-8 \udcff", "not utf-8 \\udcff"),
        ("nul\0", "nul\\u0000"),
    ],
)
def test_control_and_format_characters_are_shown_as_their_code_point(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_notes_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    note("half\x1b done")
    assert capsys.readouterr() == ("", "half\\u001b done\n")


def complaint(capsys: pytest.CaptureFixture[str], annotations: bool, *problems: Problem) -> str:
    complain(AamsError(*problems), annotations)
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_every_problem_is_a_sentence_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    first = Problem("must divide width=256", "6", "try 4 or 8", "champion.yaml", 14, 13, "model.heads")
    assert complaint(capsys, False, first, Problem("is no lab")) == (
        "error: champion.yaml:14:13: model.heads: must divide width=256; got 6; try 4 or 8\nerror: is no lab\n"
    )


def test_annotations_name_file_line_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem("must divide width=256", "6", "try 4 or 8", "champion.yaml", 14, 13, "model.heads")
    assert complaint(capsys, True, problem, Problem("is no lab")) == (
        "::error file=champion.yaml,line=14,col=13::model.heads: must divide width=256; got 6; try 4 or 8\n"
        "::error ::is no lab\n"
    )


def test_annotations_escape_what_would_end_a_value_or_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem("50% of\nit: a, b", "::set-env name=X::y\r\n", file="a,b:c%2C\nd.yaml", line=1, column=2)
    assert complaint(capsys, True, problem) == (
        "::error file=a%2Cb%3Ac%252C%0Ad.yaml,line=1,col=2::50%25 of%0Ait: a, b; got ::set-env name=X::y\\u000d%0A\n"
    )


@pytest.mark.parametrize("annotations", [False, True])
def test_a_hostile_file_name_gives_no_terminal_an_order(capsys: pytest.CaptureFixture[str], annotations: bool) -> None:
    printed = complaint(capsys, annotations, Problem("is bad", file="a\x1b[31m\x9b\u202e\udcff.yaml"))
    assert printed.rstrip("\n").isprintable()
    assert "u001b[31m" in printed


@pytest.mark.parametrize("annotations", [False, True])
def test_a_file_name_with_a_newline_begins_no_line_of_its_own(
    capsys: pytest.CaptureFixture[str], annotations: bool
) -> None:
    printed = complaint(capsys, annotations, Problem("is bad", "x\n::error::got", file="a\n::error file=b::forged"))
    assert printed.count("\n") == 1


def test_a_table_is_aligned_and_has_no_blanks_at_its_end() -> None:
    rows = [("name", "loss", "why"), ("a", "12.5", ""), ("longer", "3", "fine")]
    assert table(rows, right=frozenset({1})) == ["name    loss  why", "a       12.5", "longer     3  fine"]
    assert table([("only",)]) == ["only"]
