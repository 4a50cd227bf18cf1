"""Limits, quota, and what goes otherwise than it should: sessions that hang, outages, lost answers."""

from __future__ import annotations

import socket
import time

import pytest

GPU = {"machine_shape": "NvidiaTeslaT4"}


def test_one_session_too_many_is_refused_in_an_answer_that_is_a_success(stage):
    stage.site.next_session("stuck", "stuck")
    answers = [stage.push(slug=f"kernel-{number}", **GPU) for number in range(3)]
    assert [answer.error for answer in answers] == ["", "", "Maximum batch GPU session count of 2 reached."]
    assert stage.site.requests[-1].status == 200
    assert stage.site.kernel("ann/kernel-2") is None
    stage.site.next_session("queued")
    assert stage.push(slug="kernel-2").error == "", "one without a GPU has a limit of its own"


def test_a_stuck_session_counts_until_its_kernel_is_deleted(stage):
    stage.site.next_session("stuck", "stuck")
    for number in range(2):
        stage.push(slug=f"kernel-{number}", **GPU)
    time.sleep(0.05)
    assert stage.api.kernels_status("ann/kernel-0").status.name == "RUNNING"
    stage.api.kernels_delete("ann/kernel-0", no_confirm=True)
    stage.site.next_session("queued")
    assert stage.push(slug="kernel-2", **GPU).error == ""


def test_phantoms_count_although_nobody_sees_them(running_stage):
    running_stage.site.phantom_sessions(1)
    running_stage.site.next_session("lingers")
    running_stage.push(**GPU)
    assert running_stage.status() == ("COMPLETE", "")
    assert "count of 2 reached" in running_stage.push(slug="second-kernel", **GPU).error
    running_stage.api.kernels_delete("ann/first-kernel", no_confirm=True)
    assert "count of 2 reached" in running_stage.push(slug="second-kernel", **GPU).error
    running_stage.site.phantom_sessions(0)
    running_stage.site.next_session("queued")
    assert running_stage.push(slug="second-kernel", **GPU).error == ""


def test_a_gpu_session_uses_the_weeks_quota_up(running_stage):
    running_stage.site.site.weekly_gpu_s = 1
    running_stage.push(text="import time\ntime.sleep(1)", **GPU)
    running_stage.push(slug="no-gpu-kernel", text="import time\ntime.sleep(1)")
    running_stage.site.wait_for_sessions()
    quota = running_stage.api.quota_view().gpu_quota
    assert 1 <= quota.time_used.total_seconds() < 20
    assert quota.total_time_allowed.total_seconds() == 1
    assert "quota" in running_stage.push(**GPU).error


def test_a_data_set_that_can_not_be_had_is_left_out_and_the_session_runs_without(running_stage):
    running_stage.put(table_bin=b"123")
    running_stage.site.drop_dataset("ann/some-data")
    text = "import os\nprint(os.listdir('/kaggle/input'))"
    answer = running_stage.push(text=text, dataset_sources=["ann/some-data", "ann/no-such-data"])
    assert (answer.error, answer.version_number) == ("", 1)
    assert answer.invalid_dataset_sources == ["ann/some-data", "ann/no-such-data"]
    assert running_stage.status()[0] == "COMPLETE"
    assert running_stage.log() == "[]\n"


@pytest.mark.parametrize(("course", "status"), [("fails", "ERROR"), ("empty", "COMPLETE"), ("partial", "COMPLETE")])
def test_a_session_can_go_wrong(running_stage, course, status):
    running_stage.site.next_session(course)
    running_stage.push()
    assert running_stage.status()[0] == status
    running_stage.api.kernels_output("ann/first-kernel", str(running_stage.folder / "back"))
    made = running_stage.folder / "back" / "out.txt"
    assert (made.read_text() if made.exists() else None) == ("made" if course == "partial" else None)


def test_a_status_that_no_client_knows_breaks_this_one(running_stage):
    running_stage.site.next_session("strange")
    running_stage.push()
    running_stage.site.wait_for_sessions()
    with pytest.raises(KeyError, match="PREEMPTED"):
        running_stage.api.kernels_status("ann/first-kernel")


def test_a_failure_happens_as_often_as_it_was_asked_for(stage, refused):
    stage.site.fail_next("ListKernels", 503, times=2)
    for _ in range(2):
        with refused(503):
            stage.api.kernels_list(mine=True)
    assert stage.api.kernels_list(mine=True) == []


def test_too_many_requests_say_when_to_come_back(stage, refused):
    stage.site.fail_next("SaveKernel", 429, retry_after_s=3)
    with refused(429) as caught:
        stage.push()
    assert caught.value.response.headers["Retry-After"] == "3"


def test_an_answer_can_be_lost_after_the_work_was_done(stage, refused):
    requests = pytest.importorskip("requests")
    stage.site.next_session("queued", "queued")
    stage.site.fail_next("SaveKernel", 502, carried_out=True)
    with refused(502):
        stage.push()
    assert stage.site.kernel("ann/first-kernel").last.version == 1
    stage.site.fail_next("SaveKernel", "hung up", carried_out=True)
    with pytest.raises(requests.ConnectionError):
        stage.push()
    assert stage.site.kernel("ann/first-kernel").last.version == 2


def test_a_download_can_end_in_the_middle(running_stage):
    requests = pytest.importorskip("requests")
    running_stage.push()
    running_stage.status()
    running_stage.site.fail_next("^/files/", "cut")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        running_stage.api.kernels_output("ann/first-kernel", str(running_stage.folder / "back"))


def test_requests_are_logged_with_who_asked_and_what_they_got(stage):
    stage.api.quota_view()
    last = stage.site.requests[-1]
    assert (last.method, last.status, last.user) == ("POST", 200, "ann")
    assert last.path == "kernels.KernelsApiService/GetAcceleratorQuotaStatistics"


def test_it_resolves_no_name_and_listens_on_the_loopback_only(kaggle_emulator, tmp_path, monkeypatch):
    def resolve(*arguments):
        raise AssertionError(f"looked up {arguments}")

    for name in ("getaddrinfo", "gethostbyaddr", "gethostbyname", "getfqdn"):
        monkeypatch.setattr(socket, name, resolve)
    with kaggle_emulator.KaggleEmulator(tmp_path) as site:
        assert site.url.startswith("http://127.0.0.1:")
