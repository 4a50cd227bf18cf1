from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aams.cli import main
from aams.commands.plots import AXES
from aams.plots import numbers
from aams.views import write_views

Answer = Callable[..., str]

pytest.importorskip("matplotlib", reason="matplotlib is not installed: requirements/plot.lock")
pytest.importorskip("pandas", reason="pandas is not installed: requirements/plot.lock")

PICTURES = (["fitness"], ["lineage"], ["pareto"], ["pareto", "--x", "flops", "--y", "validation"], ["pairs", "G001"])
BEGINS = {"svg": b"<?xml", "png": b"\x89PNG\r\n", "pdf": b"%PDF"}


@pytest.fixture
def empty_lab(tmp_path: Path) -> Path:
    write_views(tmp_path / "empty", ())
    return tmp_path / "empty"


@pytest.mark.parametrize("picture", PICTURES, ids=" ".join)
@pytest.mark.parametrize("kind", BEGINS)
def test_a_picture_is_written_the_same_twice(
    picture: list[str], kind: str, recorded_lab: Path, tmp_path: Path, answer: Answer
) -> None:
    for name in ("one", "two"):
        out = tmp_path / f"{name}.{kind}"
        said = answer("plot", *picture, "--out", str(out), "--root", str(recorded_lab))
        assert said == f"Drawn: {out}\n"
    first, second = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two"))
    assert first == second
    assert first.startswith(BEGINS[kind])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"one.{kind}", f"two.{kind}"]


def test_json_tells_the_numbers_that_were_drawn(
    recorded_lab: Path, tmp_path: Path, answer: Answer, only_object: Any
) -> None:
    out = str(tmp_path / "a.svg")
    told = only_object(answer("plot", "pairs", "G001", "--json", "--out", out, "--root", str(recorded_lab)))
    assert told["file"] == out
    assert told["chart"]["differences"] == [0.02] * 5
    assert told["chart"]["generation"] == "G001"


@pytest.mark.parametrize("name", ["table.parquet", "table.csv", "TABLE.CSV"])
def test_the_table_is_written_the_same_twice(
    name: str, recorded_lab: Path, tmp_path: Path, answer: Answer, only_object: Any
) -> None:
    out = tmp_path / name
    root = ("--root", str(recorded_lab))
    assert answer("frame", "--out", str(out), *root) == f"Written: {out}, 3 rows of 55 columns\n"
    first = out.read_bytes()
    told = only_object(answer("frame", "--json", "--out", str(out), *root))
    assert (told["rows"], told["columns"]["parameters"], told["columns"]["outcome"]) == (3, "Int64", "category")
    assert out.read_bytes() == first


@pytest.mark.parametrize("command", [*(["plot", *picture] for picture in PICTURES)], ids=" ".join)
def test_an_empty_ledger_has_nothing_to_draw(
    command: list[str], empty_lab: Path, tmp_path: Path, answer: Answer
) -> None:
    out = tmp_path / "a.svg"
    complaint = answer(*command, "--out", str(out), "--root", str(empty_lab), status=1)
    assert complaint.count("\n") == 1
    assert "nothing to draw of language" in complaint or "no such generation in language" in complaint
    assert not out.exists()


def test_an_empty_ledger_is_a_table_without_rows(empty_lab: Path, tmp_path: Path, answer: Answer) -> None:
    said = answer("frame", "--out", str(tmp_path / "a.csv"), "--root", str(empty_lab))
    assert said.endswith("0 rows of 55 columns\n")
    assert (tmp_path / "a.csv").read_text(encoding="ascii").count("\n") == 1


@pytest.mark.parametrize(
    ("picture", "what"),
    [
        (["pairs", "G999"], "no such generation in language; got G999; there are: G001"),
        (["pairs", "G000"], "was not tested in pairs; got G000; there are: G001"),
        (["pairs", "$x^{$"], "no such generation"),
        (["pareto", "--x", "fitness"], "a front needs two different axes"),
        (["fitness", "--domain", "vision"], "nothing to draw of vision"),
    ],
    ids=str,
)
def test_what_can_not_be_drawn_is_said_in_one_line(
    picture: list[str], what: str, recorded_lab: Path, tmp_path: Path, answer: Answer
) -> None:
    complaint = answer("plot", *picture, "--out", str(tmp_path / "a.svg"), "--root", str(recorded_lab), status=1)
    assert complaint.startswith("error: ") and what in complaint and complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "ends"), [(["plot", "fitness"], ".svg or .png or .pdf"), (["frame"], ".parquet")])
@pytest.mark.parametrize("name", ["a.bmp", "a", "svg", "a.svg.exe"])
def test_an_unknown_ending_is_refused_before_anything_is_read(
    command: list[str], ends: str, name: str, tmp_path: Path, answer: Answer
) -> None:
    complaint = answer(*command, "--out", str(tmp_path / name), "--root", str(tmp_path / "no lab"), status=1)
    assert "can't tell what kind of file this is" in complaint and ends in complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["plot", "fitness"], ["frame"]], ids=" ".join)
def test_a_place_that_can_not_be_written_keeps_what_was_there(
    command: list[str], recorded_lab: Path, tmp_path: Path, answer: Answer
) -> None:
    out = tmp_path / ("a.svg" if command[0] == "plot" else "a.csv")
    out.mkdir()
    (out / "kept").touch()
    complaint = answer(*command, "--out", str(out), "--root", str(recorded_lab), status=1)
    assert "can't be written" in complaint and complaint.count("\n") == 1
    beside = answer(*command, "--out", str(out / "kept" / out.name), "--root", str(recorded_lab), status=1)
    assert "can't be written" in beside
    assert [path.name for path in tmp_path.rglob("*")] == [out.name, "kept"]


def test_a_damaged_archive_is_named_and_nothing_is_written(recorded_lab: Path, tmp_path: Path, answer: Answer) -> None:
    lab = tmp_path / "lab"
    shutil.copytree(recorded_lab, lab)
    for path in lab.rglob("metrics.json"):
        path.chmod(0o644)
        path.unlink() if "history" in str(path) else None
    complaint = answer("frame", "--out", str(tmp_path / "a.csv"), "--root", str(lab), status=1)
    assert "metrics.json: can't be read" in complaint
    assert not (tmp_path / "a.csv").exists()


def test_the_axes_of_the_command_are_those_of_the_picture() -> None:
    assert numbers.AXES == AXES


def test_an_axis_that_is_not_on_record_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["plot", "pareto", "--x", "latency", "--out", str(tmp_path / "a.svg")])
    assert "invalid choice: 'latency'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("library", "command"),
    [("matplotlib", ["plot", "fitness", "--out", "a.svg"]), ("pandas", ["frame", "--out", "a.csv"])],
    ids=str,
)
def test_without_the_extra_it_says_what_to_install(
    library: str, command: list[str], recorded_lab: Path, tmp_path: Path
) -> None:
    program = (
        "import importlib.util, json, sys\n"
        "find = importlib.util.find_spec\n"
        "hidden = sys.argv[1]\n"
        "importlib.util.find_spec = lambda name, *more: None if name == hidden else find(name, *more)\n"
        "from aams.cli import main\n"
        "sys.exit(main(json.loads(sys.argv[2])))\n"
    )
    argv = [sys.executable, "-c", program, library, json.dumps([*command, "--root", str(recorded_lab)])]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    wanted = f"error: {library} is not installed; pip install --require-hashes -r requirements/plot.lock\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", wanted)
