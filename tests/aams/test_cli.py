from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import aams
import domains
from aams.cli import build_parser, common_parser, main, run
from aams.errors import failure
from aams.strict import MAX_YAML_BYTES
from compiler import spec as specs

ROOT = Path(aams.__file__).parents[1]
BASELINE = Path(domains.__file__).parent / "language" / "baseline.yaml"
Answer = Callable[..., str]
Captured = pytest.CaptureFixture[str]


def commands() -> list[str]:
    (subparsers,) = (action for action in build_parser()._actions if isinstance(action.choices, dict))
    return list(subparsers.choices or ())


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert text.startswith(f"usage: aams {command} ")
    assert all(option in text for option in ("--json", "--root", "--annotations"))


def test_help_lists_every_command_with_a_sentence(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for command in commands():
        (line,) = (line for line in lines if line.split()[:1] == [command])
        assert len(line.split()) > 3 or lines[lines.index(line) + 1].startswith("      ")


@pytest.mark.parametrize(
    "arguments",
    [[], ["evolve"], ["log", "--nonsense"], ["mutate", "x.yaml"], ["mutate", "x", "--seed", "one"], ["log", "-n", "x"]],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_says_so_on_stderr(arguments: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    assert "usage: aams" in err and "error:" in err


def test_validate_tells_domain_and_id(answer: Answer) -> None:
    one = specs.read(BASELINE).id
    assert answer("validate", str(BASELINE)) == f"{BASELINE}: a valid language spec, id {one}\n"


def test_compile_prints_the_source_or_writes_it(tmp_path: Path, answer: Answer) -> None:
    source = answer("compile", str(BASELINE))
    compile(source, "model.py", "exec")
    assert answer("compile", str(BASELINE), "--output", str(tmp_path / "model.py")) == ""
    assert (tmp_path / "model.py").read_text() == source


def test_mutate_prints_what_it_would_write(tmp_path: Path, answer: Answer, only_object: Any) -> None:
    commented = tmp_path / "commented.yaml"
    commented.write_text("# caf\u00e9\u00a0\u2014\tmine\n" + BASELINE.read_text(encoding="utf-8"), encoding="utf-8")
    arguments = ["mutate", str(commented), "--seed", "7"]
    printed = answer(*arguments)
    assert answer(*arguments) == printed, "equal seed, equal child"
    assert answer(*arguments, "--output", str(tmp_path / "child.yaml")) == ""
    assert (tmp_path / "child.yaml").read_text(encoding="utf-8") == printed
    assert specs.read(tmp_path / "child.yaml").id == only_object(answer(*arguments, "--json"))["id"]


READING = [
    ["validate", str(BASELINE), str(BASELINE)],
    ["compile", str(BASELINE)],
    ["cost", str(BASELINE)],
    ["mutate", str(BASELINE), "--seed", "7"],
    ["log"],
    ["log", "-n", "1", "--domain", "language"],
    ["show", "G001"],
    ["diff", "G001"],
    ["diff", "G000", "G001"],
    ["verify"],
]


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: arguments[0])
def test_json_is_exactly_one_object_and_lines_are_for_people(
    arguments: list[str], recorded_lab: Path, answer: Answer, only_object: Any
) -> None:
    only_object(answer(*arguments, "--json", "--root", str(recorded_lab)))
    lines = answer(*arguments, "--root", str(recorded_lab))
    assert lines.strip() and not lines.startswith("{")
    assert "\x1b" not in lines, "an archived report gives the terminal no order"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell: str, answer: Answer) -> None:
    script = answer("completion", shell)
    assert all(command in script for command in commands())
    if shell != "tcsh" and shutil.which(shell):
        assert "--annotations" in script
        assert subprocess.run([shell, "-n"], input=script, capture_output=True, text=True).returncode == 0


def test_completion_as_json_is_one_object_too(answer: Answer, only_object: Any) -> None:
    assert "_aams" in json.dumps(only_object(answer("completion", "bash", "--json")))


UGLY = {
    "empty": b"",
    "blank": b"\n\n",
    "latin": b"# caf\xe9\n",
    "list": b"- 1\n",
    "binary": bytes(range(256)),
    "huge": b"#" * (MAX_YAML_BYTES + 1),
    "deep": b"[" * 5000,
}


@pytest.mark.parametrize("command", ["validate", "compile", "cost"])
@pytest.mark.parametrize("kind", [*UGLY, "missing", "folder", "link", "fifo"])
def test_an_ugly_file_is_refused_by_name_with_1(command: str, kind: str, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / f"{kind}.yaml"
    if kind in UGLY:
        path.write_bytes(UGLY[kind])
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(BASELINE)
    elif kind == "fifo":
        os.mkfifo(path)
    assert main([command, str(path), "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {path}")


def test_an_output_that_cannot_be_written_is_told(tmp_path: Path, answer: Answer) -> None:
    complaint = answer("compile", str(BASELINE), "--output", str(tmp_path), status=1)
    assert f"{tmp_path}: can't be written" in complaint
    assert list(tmp_path.iterdir()) == []


def test_every_problem_of_a_spec_is_an_annotation_on_its_line(tmp_path: Path, answer: Answer) -> None:
    path = tmp_path / "50%, a:b.yaml"
    path.write_text("schema_version: 1\ndomain: nonsense\n")
    complaint = answer("validate", "--annotations", str(path), status=1)
    place = str(path).replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
    assert complaint.startswith(f"::error file={place},line=2,col=9::domain: must be one of language, ")


@pytest.mark.parametrize("name", ["red\x1b[31m.yaml", "turned\u202e.yaml", "two\n::error::lines.yaml", "\udcff.yaml"])
@pytest.mark.parametrize("is_good", [True, False])
@pytest.mark.parametrize("option", ["--annotations", "--root=."])
def test_a_hostile_file_name_never_reaches_the_terminal_raw(
    name: str, is_good: bool, option: str, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / name
    path.write_bytes(BASELINE.read_bytes() if is_good else b"x")
    assert main(["validate", option, str(path)]) == (0 if is_good else 1)
    out, err = capsys.readouterr()
    assert (out + err).count("\n") == 1
    assert (out + err).rstrip("\n").isprintable()


def on_its_own(raised: BaseException) -> argparse.ArgumentParser:
    """A command line whose one command ends with an exception."""

    def command(args: argparse.Namespace) -> int:
        raise raised

    parser = argparse.ArgumentParser(parents=[common_parser()])
    parser.set_defaults(command=command)
    return parser


def test_bad_input_is_1_and_an_interruption_is_130(capsys: Captured) -> None:
    assert run(on_its_own(failure("is bad", 6, "try 4")), []) == 1
    assert capsys.readouterr() == ("", "error: is bad; got 6; try 4\n")
    assert run(on_its_own(KeyboardInterrupt()), []) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("interrupted; ")


@pytest.mark.parametrize("words", [["validate", "x.yaml"], ["validate", "\udcff.yaml"]], ids=["plain", "not-utf-8"])
def test_a_bug_is_3_and_leaves_a_report(
    words: Sequence[str], tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["aams", *words])
    assert run(on_its_own(ZeroDivisionError("by \x1b zero")), ["--root", str(tmp_path)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "a bug in AAMS: ZeroDivisionError: by \\u001b zero" in err and "Traceback" not in err
    report = (tmp_path / ".aams" / "bug-report.txt").read_text(encoding="utf-8")
    assert "aams validate" in report and "Traceback" in report and "Python 3." in report


def test_a_bug_where_nothing_can_be_written_is_told_in_full(tmp_path: Path, capsys: Captured) -> None:
    assert run(on_its_own(ZeroDivisionError()), ["--root", str(tmp_path / "nowhere")]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_left_is_no_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "aams", "completion", "bash"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment, timeout=60)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")
