from __future__ import annotations

import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from aams import bundle, cli, lanes, run_cycle
from aams.canonical import canonical_json, to_data
from aams.commands.output import complain, note
from aams.commands.request import DOMAINS, LANES, request_from
from aams.cycle import Request
from aams.errors import AamsError, Problem
from aams.founding import found_lab
from aams.records import Budget, Envelope, Inputs, Manifest, Run
from safety.manifest import freeze

FILES = {"models/one.py": b"class Model: ...\n", "trainer/__main__.py": b"print('trained')\n"}
ORDER = "x\n::error::pwn"


def frozen() -> Manifest:
    return freeze(
        Inputs(
            schema_version=1,
            cycle="language-abc",
            stage="trial",
            batch=0,
            domain="language",
            generation="",
            sealed="",
            parent="G000",
            parent_weights="",
            corpus="small",
            digests={},
            files={},
            runs=(Run("child-0", "child", 0, "a" * 64, 7, 3),),
            rungs=(),
            compute_flops=1000,
            budget=Budget(1, 1, 1, 1, 1),
            confinement=("bubblewrap", "landlock"),
        ),
        Envelope("0" * 64, "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", ""),
    )


def sent(place: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """A zip from a stranger, whose manifest declares whatever is in it."""
    manifest = to_data(frozen())
    manifest["inputs"]["files"] = bundle.digests(files)
    with zipfile.ZipFile(place, "w", method) as archive:
        for name, content in {**files, bundle.MANIFEST: canonical_json(manifest)}.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return place


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.py",
        "/evil.py",
        "trainer/../../evil.py",
        "models\\..\\evil.py",
        "./models/evil.py",
        "models//evil.py",
        "evil.py",
        "torch/evil.py",
        "trainers/evil.py",
        "trainer",
    ],
)
def test_a_bundle_can_write_only_where_bundles_have_files(tmp_path: Path, name: str) -> None:
    archive = sent(tmp_path / "evil.zip", {**FILES, name: b"print('gotcha')\n"})
    with pytest.raises(AamsError, match=r"evil\.zip:manifest\.json: "):
        bundle.unpack(archive, tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_member_is_never_opened(tmp_path: Path, method: int) -> None:
    archive = sent(tmp_path / "small.zip", FILES, method)
    with pytest.raises(AamsError, match="is not a readable bundle; got a compressed member"):
        bundle.unpack(archive, tmp_path / "out")


def test_a_member_that_begins_at_the_end_of_the_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(sent(tmp_path / "past.zip", FILES).read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    for offset in (len(content) - 3, len(content) + 9, 2**32 - 2):
        struct.pack_into("<L", content, entry + 42, offset)
        (tmp_path / "past.zip").write_bytes(content)
        with pytest.raises(AamsError, match="is not a readable bundle"):
            bundle.unpack(tmp_path / "past.zip", tmp_path / "out")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    content = bytearray(sent(tmp_path / "name.zip", FILES).read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 9] |= 0x08
    content[entry + 46] = 0xFF
    (tmp_path / "name.zip").write_bytes(content)
    with pytest.raises(AamsError, match="is not a readable bundle"):
        bundle.unpack(tmp_path / "name.zip", tmp_path / "out")


COMMANDS = {"run_cycle": (run_cycle.main, ()), "propose": (cli.main, ("propose",))}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--planner", "nobody", "--planner is unknown; got nobody; one of "),
        ("--children", "0", "--children must be from 1 to 64; got 0"),
        ("--children", "1000000000", "--children must be from 1 to 64; got 1000000000"),
    ],
)
def test_a_bad_request_is_bad_input_wherever_a_cycle_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, option: str, value: str, complaint: str
) -> None:
    main, words = COMMANDS[command]
    assert main([*words, "--seed", "1", option, value, "--root", str(tmp_path)]) == 1
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_propose_takes_a_hand_made_child_as_run_cycle_does() -> None:
    words = ["--seed", "1", "--domain", "vision", "--spec", "mine.yaml"]
    asked = Request("vision", 1, 4, "by-hand", Path("mine.yaml"))
    assert request_from(cli.build_parser().parse_args(["propose", *words])) == asked
    assert request_from(run_cycle.build_parser().parse_args(words)) == asked


def test_the_domains_of_the_command_line_are_the_domains() -> None:
    import domains

    assert (tuple(domains.DOMAINS), tuple(lanes.LANES)) == (DOMAINS, LANES)


def test_the_command_line_is_built_without_the_domains() -> None:
    code = "import sys; from aams import cli; cli.build_parser(); sys.exit('domains' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(cli.__file__).parents[1]).returncode == 0


def git(folder: Path, *arguments: str) -> str:
    clean = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=no")
    return subprocess.run(["git", *clean, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    root = tmp_path / "lab"
    root.mkdir()
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "README.md").write_text("read me\n")
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    return root


def test_a_new_lab_runs_nobodys_hooks_and_signs_nothing(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "hooks").mkdir(parents=True)
    for hook in ("pre-commit", "commit-msg", "post-commit"):
        (home / "hooks" / hook).write_text(f"#!/bin/sh\ntouch {home}/ran\nexit 1\n")
        (home / "hooks" / hook).chmod(0o755)
    settings = f"[core]\nhooksPath = {home}/hooks\n[commit]\ngpgsign = true\n[gpg]\nprogram = /bin/false\n"
    (home / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "somebody")
    found_lab(lab, tmp_path / "new")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert git(tmp_path / "new", "log", "--format=%an").strip() == "AAMS"
    assert not (home / "ran").exists()
    assert not (tmp_path / "index").exists()


def test_the_executable_bit_is_the_commits(lab: Path, tmp_path: Path) -> None:
    (lab / "run.sh").chmod(0o644)
    (lab / "README.md").chmod(0o755)
    found_lab(lab, tmp_path / "new")
    assert os.access(tmp_path / "new" / "run.sh", os.X_OK)
    assert not (tmp_path / "new" / "README.md").stat().st_mode & 0o111


def test_a_lab_that_can_not_be_copied_whole_is_not_there_at_all(lab: Path, tmp_path: Path) -> None:
    git(lab, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},zzz")
    git(lab, "commit", "--quiet", "--message", "a submodule")
    with pytest.raises(AamsError, match="zzz: can't be read from the commit"):
        found_lab(lab, tmp_path / "new")
    assert list(tmp_path.iterdir()) == [lab]


def test_what_a_killed_founding_left_is_no_hindrance(lab: Path, tmp_path: Path) -> None:
    (tmp_path / ".new.part").mkdir()
    (tmp_path / ".new.part" / "half").write_text("")
    found_lab(lab, tmp_path / "new")
    assert not (tmp_path / "new" / "half").exists()
    assert not (tmp_path / ".new.part").exists()


@pytest.mark.parametrize("annotations", [False, True])
@pytest.mark.parametrize(
    "problem",
    [
        Problem(ORDER),
        Problem("is bad", ORDER),
        Problem("is bad", advice=ORDER),
        Problem("a", file=ORDER),
        Problem("a", path=ORDER),
    ],
    ids=["what", "got", "advice", "file", "path"],
)
def test_no_field_of_a_problem_begins_a_line(
    capsys: pytest.CaptureFixture[str], annotations: bool, problem: Problem
) -> None:
    complain(AamsError(problem, Problem("is bad too")), annotations)
    printed = capsys.readouterr().err
    assert printed.count("\n") == 2
    assert "\n::error::pwn" not in printed


def test_a_note_keeps_to_the_lines_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    note(ORDER, "second")
    assert capsys.readouterr().err == "x\\u000a::error::pwn\nsecond\n"


def test_a_hostile_key_of_a_spec_gives_actions_no_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spec.yaml").write_text('schema_version: 1\ndomain: language\n"x\\n::error::pwn": 1\n')
    assert cli.main(["validate", str(tmp_path / "spec.yaml")]) == 1
    printed = capsys.readouterr().err
    assert "::error::pwn" in printed
    assert not any(line.startswith("::") for line in printed.splitlines())


def test_a_bug_is_told_without_an_order_even_where_no_report_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(args: object) -> int:
        raise ValueError(ORDER)

    parser = cli.common_parser()
    parser.set_defaults(command=broken)
    (tmp_path / ".aams").write_text("no folder")
    assert cli.run(parser, ["--root", str(tmp_path)]) == 3
    printed = capsys.readouterr().err
    assert "| ValueError: x\n| ::error::pwn\n" in printed
    assert not any(line.lstrip().startswith("::") for line in printed.splitlines())
