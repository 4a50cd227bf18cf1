from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import aams
import domains
from aams.canonical import sha256
from aams.cli import build_parser, common_parser, main, run
from aams.errors import failure
from aams.records import Criterion, Fitness, Pair
from aams.strict import MAX_YAML_BYTES
from aams.views import write_views
from compiler import spec as specs
from safety.archive import ARTIFACTS, archive_generation
from safety.events import Attempted, Closed, Facts, Frozen, Opened, Proposed, Screened, Trained, TrialScore, Verdict
from safety.head import heal
from safety.ledger import append, next_entry, read_ledger
from safety.state import fold
from safety.store import put

ROOT = Path(aams.__file__).parents[1]
BASELINE = Path(domains.__file__).parent / "language" / "baseline.yaml"
Captured = pytest.CaptureFixture[str]


def commands() -> list[str]:
    (subparsers,) = (action for action in build_parser()._actions if isinstance(action.choices, dict))
    return list(subparsers.choices or ())


def verdict(generation: str, spec: str, archive: str, weights: str, before: str) -> Verdict:
    return Verdict(
        generation=generation,
        spec=spec,
        outcome="accepted",
        criteria=(Criterion("recall", 0.8, ">=", 0.75, True),),
        reasons=("Every criterion of the contract is met.",),
        child=Fitness(0.8, 0.6, 0.01, 2.5, 0),
        control=Fitness(0.8, 0.58, 0.0, 2.6, 0) if before else None,
        pairs=(Pair(0, 0.6, 0.58),) if before else (),
        voice=(0.25, 0.75),
        weights=weights,
        archive=archive,
        head_before=before,
        head_after=generation,
    )


class Lab:
    """A lab that a command can be pointed at; its history is written through the public functions."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def record(self, cycle: str, now: str, *events: Facts) -> None:
        for facts in events:
            append(self.root, next_entry(read_ledger(self.root), cycle, facts, "language", "c" * 64, now))

    def cycle(self, number: int, text: str) -> None:
        """One accepted cycle: the root for number 0."""
        now, cycle, generation = f"2026-11-21T01:0{number}:00Z", f"cycle-{number}", f"G{number:03d}"
        before, one = f"G{number - 1:03d}" if number else "", specs.parse(text.encode(), "spec.yaml").id
        stage: Any = "attempt" if number else "root"
        opened = Opened(
            seed=7,
            planner="mutate-champion",
            trigger="person",
            parent=before,
            corpus="corpus-a",
            request="f" * 64,
            commit="",
        )
        self.record(cycle, now, opened)
        if number:
            screened = Screened(0.5, (TrialScore(one, 0.52),), 0.005, one, True)
            trials = (
                Frozen("trial", "1" * 64, f"{number:064x}", 1),
                Trained("trial", "2" * 64, (), {}, "none", 1.0, 1.0),
            )
            self.record(cycle, now, Proposed((), ()), *trials, screened, Attempted(generation, one))
        frozen = Frozen(stage, "3" * 64, f"{number + 100:064x}", 1)
        self.record(cycle, now, frozen, Trained(stage, "4" * 64, (), {}, "none", 1.0, 1.0))
        if not number:
            self.record(cycle, now, Attempted(generation, one))
        generations = fold(read_ledger(self.root)).lineages["language"].generations
        directory = next(item.directory for item in generations if item.name == generation)
        artifacts = {name: f"{name}\n".encode() for name in {*ARTIFACTS, "tokenizer.json"}}
        artifacts |= {
            "spec.yaml": text.encode(),
            "metrics.json": b'{"schema_version": 1}\n',
            "parent_gen.txt": f"{before or 'none'}\n".encode(),
            "EVAL.md": b"# Why\n\nred \x1b[31m alert\n",
        }
        returned = self.root / "returned.safetensors"
        returned.write_bytes(f"weights of {generation}".encode())
        weights = sha256(returned.read_bytes())
        put(self.root, returned, weights)
        returned.unlink()
        archive = archive_generation(self.root, "language", directory, artifacts, weights)
        self.record(cycle, now, verdict(generation, one, archive, weights, before), Closed("accepted", ""))
        heal(self.root, fold(read_ledger(self.root)))
        write_views(self.root, read_ledger(self.root))


@pytest.fixture(scope="session")
def recorded_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab with the champion G001 and its parent G000."""
    lab = Lab(tmp_path_factory.mktemp("cli") / "lab")
    text = BASELINE.read_text(encoding="utf-8")
    lab.cycle(0, text)
    lab.cycle(1, text.replace("  tied: false\n", "").replace("model:\n", "model:\n  tied: false\n", 1))
    return lab.root


@pytest.fixture
def empty_lab(tmp_path: Path) -> Path:
    write_views(tmp_path / "lab", ())
    return tmp_path / "lab"


def answer(capsys: Captured, *arguments: str, status: int = 0) -> str:
    """Run a command that answers on stdout, or complains on stderr."""
    assert main(arguments) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def only_object(text: str) -> Any:
    """The one JSON object that is all there is."""
    data = json.loads(text)
    assert isinstance(data, dict)
    assert text == json.dumps(data) + "\n"
    return data


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


def test_validate_tells_domain_and_id(capsys: Captured) -> None:
    one = specs.read(BASELINE).id
    assert answer(capsys, "validate", str(BASELINE)) == f"{BASELINE}: a valid language spec, id {one}\n"


def test_compile_prints_the_source_or_writes_it(tmp_path: Path, capsys: Captured) -> None:
    source = answer(capsys, "compile", str(BASELINE))
    compile(source, "model.py", "exec")
    assert answer(capsys, "compile", str(BASELINE), "--output", str(tmp_path / "model.py")) == ""
    assert (tmp_path / "model.py").read_text() == source


def test_mutate_prints_what_it_would_write(tmp_path: Path, capsys: Captured) -> None:
    commented = tmp_path / "commented.yaml"
    commented.write_text("# caf\u00e9\u00a0\u2014\tmine\n" + BASELINE.read_text(encoding="utf-8"), encoding="utf-8")
    arguments = ["mutate", str(commented), "--seed", "7"]
    printed = answer(capsys, *arguments)
    assert answer(capsys, *arguments) == printed, "equal seed, equal child"
    assert answer(capsys, *arguments, "--output", str(tmp_path / "child.yaml")) == ""
    assert (tmp_path / "child.yaml").read_text(encoding="utf-8") == printed
    assert specs.read(tmp_path / "child.yaml").id == only_object(answer(capsys, *arguments, "--json"))["id"]


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
    arguments: list[str], recorded_lab: Path, capsys: Captured
) -> None:
    only_object(answer(capsys, *arguments, "--json", "--root", str(recorded_lab)))
    lines = answer(capsys, *arguments, "--root", str(recorded_lab))
    assert lines.strip() and not lines.startswith("{")
    assert "\x1b" not in lines, "an archived report gives the terminal no order"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell: str, capsys: Captured) -> None:
    script = answer(capsys, "completion", shell)
    assert all(command in script for command in commands())
    if shell != "tcsh" and shutil.which(shell):
        assert "--annotations" in script
        assert subprocess.run([shell, "-n"], input=script, capture_output=True, text=True).returncode == 0


def test_completion_as_json_is_one_object_too(capsys: Captured) -> None:
    assert "_aams" in json.dumps(only_object(answer(capsys, "completion", "bash", "--json")))


def test_an_empty_lab_has_no_cycles_and_is_all_right(empty_lab: Path, capsys: Captured) -> None:
    root = ("--root", str(empty_lab))
    assert answer(capsys, "log", *root) == "No cycles yet: run `make cycle`.\n"
    assert only_object(answer(capsys, "log", "--json", *root)) == {"cycles": []}
    assert answer(capsys, "verify", *root).startswith("All right: 0 entries, 0 generations")
    assert only_object(answer(capsys, "verify", "--json", *root))["view_count"] == 4


@pytest.mark.parametrize("command", ["show", "diff", "reproduce"])
def test_an_empty_lab_has_no_generation_to_look_at(command: str, empty_lab: Path, capsys: Captured) -> None:
    assert main([command, "G000", "--json", "--root", str(empty_lab)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: no such generation in language; got G000; there are: none yet\n"


def test_log_lists_the_newest_first(recorded_lab: Path, capsys: Captured) -> None:
    root = ("--root", str(recorded_lab))
    lines = answer(capsys, "log", *root).splitlines()
    assert [line.split()[2] for line in lines] == ["generation", "G001", "G000"]
    assert len(answer(capsys, "log", "-n", "1", *root).splitlines()) == 2
    assert "No cycles yet" not in answer(capsys, "log", "-n", "0", *root)


def test_diff_is_by_default_with_the_parent(recorded_lab: Path, capsys: Captured) -> None:
    root = ("--root", str(recorded_lab))
    assert only_object(answer(capsys, "diff", "G001", "--json", *root))["from"] == "G000"
    assert "G000 is a root and has no parent" in answer(capsys, "diff", "G000", *root, status=1)
    assert "same architecture" in answer(capsys, "diff", "G001", "G001", *root)


@pytest.mark.parametrize("name", ["G999", "../../etc", "", "G001\x1b[2J"])
def test_an_unknown_generation_is_answered_with_those_there_are(
    name: str, recorded_lab: Path, capsys: Captured
) -> None:
    complaint = answer(capsys, "show", name, "--root", str(recorded_lab), status=1)
    assert "no such generation in language" in complaint and "there are: G000, G001" in complaint
    assert "\x1b" not in complaint


def test_verify_names_what_is_broken_and_ends_with_1(recorded_lab: Path, tmp_path: Path, capsys: Captured) -> None:
    shutil.copytree(recorded_lab, tmp_path / "lab")
    (tmp_path / "lab" / "logs" / "lineage.csv").write_text("changed")
    assert main(["verify", "--json", "--root", str(tmp_path / "lab")]) == 1
    out, err = capsys.readouterr()
    assert only_object(out)["broken"]["file"].endswith("logs/lineage.csv")
    assert "logs/lineage.csv: differs from what the ledger compiles to" in err


@pytest.mark.parametrize("command", [["propose", "--seed", "1"], ["ingest", "language-0", "results"]], ids="-".join)
def test_a_folder_that_is_no_lab_is_refused_and_left_alone(
    command: list[str], tmp_path: Path, capsys: Captured
) -> None:
    assert "is no lab" in answer(capsys, *command, "--root", str(tmp_path), status=1)
    assert list(tmp_path.iterdir()) == []


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


def test_an_output_that_cannot_be_written_is_told(tmp_path: Path, capsys: Captured) -> None:
    complaint = answer(capsys, "compile", str(BASELINE), "--output", str(tmp_path), status=1)
    assert f"{tmp_path}: can't be written" in complaint
    assert list(tmp_path.iterdir()) == []


def test_every_problem_of_a_spec_is_an_annotation_on_its_line(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "50%, a:b.yaml"
    path.write_text("schema_version: 1\ndomain: nonsense\n")
    complaint = answer(capsys, "validate", "--annotations", str(path), status=1)
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
