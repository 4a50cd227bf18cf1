"""Kernels that really run, pushed, watched, read and deleted by the real client."""

from __future__ import annotations

import json
import time

import pytest

HASTY = "import time\nprint('begun')\ntime.sleep(60)\n"


def test_a_script_runs_and_its_files_and_log_come_back(running_stage):
    answer = running_stage.push()
    assert (answer.ref, answer.version_number, answer.error) == ("/ann/first-kernel", 1, "")
    assert running_stage.status() == ("COMPLETE", "")
    files, _ = running_stage.api.kernels_output("ann/first-kernel", str(running_stage.folder / "back"))
    assert [name.rsplit("/", 1)[1] for name in files] == ["out.txt", "first-kernel.log"]
    assert (running_stage.folder / "back" / "out.txt").read_text() == "made here"
    (entry,) = json.loads(running_stage.api.kernels_logs("ann/first-kernel"))
    assert (entry["stream_name"], entry["data"]) == ("stdout", "hello\n")


def test_a_notebooks_cells_run_in_order_in_one_process(running_stage):
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Words"},
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": ["x = 1\n", "y = x + 1"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": "open('out.txt', 'w').write(str(x + y))"},
    ]
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    running_stage.push(text=text, kind="notebook")
    assert running_stage.status() == ("COMPLETE", "")
    files, _ = running_stage.api.kernels_output("ann/first-kernel", str(running_stage.folder / "back"))
    assert (running_stage.folder / "back" / "out.txt").read_text() == "3"
    assert any(name.endswith("__notebook__.ipynb") for name in files)


@pytest.mark.parametrize("mounts", ["by slug", "by owner"])
def test_a_session_finds_its_data_and_can_spoil_neither_it_nor_this_machine(running_stage, mounts):
    running_stage.site.site.mounts = mounts
    running_stage.put(table_bin=b"123")
    text = (
        "import os, pathlib, socket\n"
        "(path,) = pathlib.Path('/kaggle/input').rglob('table.bin')\n"
        "print(path, path.read_text(), os.getcwd(), sorted(n for n in os.environ if 'proxy' in n))\n"
        "for place in (path, pathlib.Path('/etc/hostname')):\n"
        "    try:\n"
        "        place.write_text('x')\n"
        "    except OSError:\n"
        "        print('kept')\n"
        "try:\n"
        "    socket.create_connection(('127.0.0.1', PORT), 1)\n"
        "except OSError:\n"
        "    print('offline')\n"
    )
    port = running_stage.site.url.rsplit(":", 1)[1]
    running_stage.push(text=text.replace("PORT", port), dataset_sources=["ann/some-data"])
    assert running_stage.status()[0] == "COMPLETE"
    place = {"by slug": "some-data", "by owner": "datasets/ann/some-data"}[mounts]
    said = f"/kaggle/input/{place}/table.bin 123 /kaggle/working []\nkept\nkept\noffline\n"
    assert running_stage.log() == said


def test_a_script_that_fails_is_an_error_and_its_log_says_why(running_stage):
    running_stage.push(text="raise SystemExit('no such thing')")
    assert running_stage.status() == ("ERROR", "The session ended with exit code 1")
    assert "no such thing" in running_stage.log()


def test_a_session_is_ended_at_its_limit_and_what_it_wrote_is_there(running_stage):
    running_stage.push(text="open('half', 'w').write('x')\n" + HASTY, timeout="1")
    status, failure = running_stage.status()
    assert (status, "longer than the allowed time" in failure) == ("ERROR", True)
    assert running_stage.api.kernels_output("ann/first-kernel", str(running_stage.folder / "b"))[0][0].endswith("half")


def test_outputs_come_in_pages_and_by_addresses_that_need_no_credential(running_stage):
    running_stage.push(text="import os\nos.mkdir('sub')\nfor i in range(25): open(f'sub/{i:02}', 'w').close()")
    running_stage.status()
    files, _ = running_stage.api.kernels_output("ann/first-kernel", str(running_stage.folder / "b"), page_size=10)
    assert [name[-6:] for name in files if "sub" in name] == [f"sub/{number:02}" for number in range(25)]


def test_a_log_can_be_followed_while_its_session_goes_on(running_stage):
    running_stage.push(text="import time\nprint('one')\ntime.sleep(0.5)\nprint('two')")
    while running_stage.api.kernels_status("ann/first-kernel").status.name == "QUEUED":
        time.sleep(0.01)
    followed = [event["data"] for event in running_stage.api.kernels_logs_stream("ann/first-kernel")]
    assert followed == ["one\n", "two\n"]
    running_stage.status()
    assert [event["data"] for event in running_stage.api.kernels_logs_stream("ann/first-kernel")] == followed


def test_deleting_a_kernel_ends_its_session(running_stage, refused):
    running_stage.push(text=HASTY)
    session = running_stage.site.kernel("ann/first-kernel").last
    while not session.log:
        time.sleep(0.01)
    running_stage.api.kernels_delete("ann/first-kernel", no_confirm=True)
    running_stage.site.wait_for_sessions(10)
    assert session.status == "CANCEL_ACKNOWLEDGED"
    with pytest.raises(ValueError, match=r"Permission 'kernels\.get' was denied"):
        running_stage.api.kernels_status("ann/first-kernel")


def test_a_session_is_cancelled_by_an_id_that_only_the_site_knows(running_stage):
    sdk = pytest.importorskip("kagglesdk.kernels.types.kernels_api_service")
    running_stage.push(text=HASTY)
    session = running_stage.site.kernel("ann/first-kernel").last
    while not session.log:
        time.sleep(0.01)
    for number, complaint in ((7, "Kernel session not found"), (session.id, "")):
        request = sdk.ApiCancelKernelSessionRequest()
        request.kernel_session_id = number
        with running_stage.api.build_kaggle_client() as client:
            answer = client.kernels.kernels_api_client.cancel_kernel_session(request)
        assert answer.error_message == complaint
    assert running_stage.status() == ("CANCEL_ACKNOWLEDGED", "")


def test_a_new_kernels_slug_is_its_titles(stage):
    stage.site.next_session("queued")
    assert stage.push(title="Another Name").ref == "/ann/another-name"
    assert [kernel.ref for kernel in stage.api.kernels_list(mine=True)] == ["ann/another-name"]


def test_one_more_push_is_one_more_version(stage):
    stage.site.next_session("queued", "queued")
    assert [stage.push().version_number for _ in range(2)] == [1, 2]


def test_nobody_pushes_or_reads_for_somebody_else(stage, refused):
    eve = stage.client("eve", stage.site.user("eve"))
    with refused(403):
        stage.push(api=eve)
    stage.site.next_session("queued")
    stage.push()
    with pytest.raises(ValueError, match="denied"):
        eve.kernels_status("ann/first-kernel")
    assert eve.kernels_list(mine=True) == []


def test_kernels_are_listed_in_pages_the_newest_first(stage):
    stage.site.site.limits[False] = 30
    stage.site.next_session(*["queued"] * 25)
    for number in range(25):
        stage.push(slug=f"kernel-{number:02}")
    pages = [stage.api.kernels_list(mine=True, page=page, page_size=10) for page in (1, 2, 3)]
    assert [each.ref for page in pages for each in page] == [f"ann/kernel-{number:02}" for number in range(24, -1, -1)]


def test_wrong_keys_and_unknown_tokens_are_refused(stage, refused):
    for user, key in (("ann", "wrong"), ("eve", "")):
        with refused(401):
            stage.client(user, key or "none").quota_view()
    assert stage.api._introspect_token("KGAT_nobody") is None
    assert stage.api._introspect_token(stage.site.token("ann")) == "ann"
