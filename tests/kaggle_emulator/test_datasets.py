"""Data sets, as the real client makes and reads them."""

from __future__ import annotations

import io
import zipfile


def test_a_data_set_is_private_and_ready_after_a_while(stage):
    stage.site.site.processing_s = 0.3
    answer = stage.put(table_bin=b"123", ready=False)
    assert (answer.status, answer.error) == ("ok", "")
    assert stage.api.dataset_status("ann/some-data") == "blobs_received"
    stage.put(slug="other-data")
    assert stage.site.dataset("ann/some-data").private
    assert [file.name for file in stage.api.dataset_list_files("ann/some-data").files] == ["table.bin"]


def test_a_version_takes_the_place_of_the_one_before(stage):
    stage.put(table_bin=b"123")
    stage.put(table_bin=b"4567")
    dataset = stage.site.dataset("ann/some-data")
    assert [(each.folder / "table.bin").read_bytes() for each in dataset.versions] == [b"123", b"4567"]
    assert stage.api.dataset_status("ann/some-data", format="json(current_version_number)").endswith("2}")


def test_a_version_is_denied_while_the_first_is_not_ready(stage, refused):
    stage.site.site.processing_s = 60
    stage.put(table_bin=b"123", ready=False)
    with refused(403):
        stage.put(table_bin=b"456", ready=False)


def test_an_archive_is_unpacked_and_another_ending_is_left_alone(stage):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.txt", "x")
    stage.put(one_zip=packed.getvalue(), two_bin=packed.getvalue())
    names = [file.name for file in stage.api.dataset_list_files("ann/some-data").files]
    assert sorted(names) == ["one/inside.txt", "two.bin"]


def test_an_upload_that_is_put_off_is_resumed_and_one_that_fails_is_left_out_without_a_word(stage):
    stage.site.fail_next(r"^/upload/", 503)
    stage.put(table_bin=b"123")
    assert [file.name for file in stage.api.dataset_list_files("ann/some-data").files] == ["table.bin"]
    stage.site.fail_next(r"^/upload/", 400)
    assert stage.put(slug="less-data", table_bin=b"123").status == "ok"
    assert stage.api.dataset_list_files("ann/less-data").files == []


def test_a_version_that_could_not_be_read_says_so(stage):
    stage.put(table_bin=b"123")
    stage.site.fail_processing("ann/some-data")
    assert stage.api.dataset_status("ann/some-data") == "failed"


def test_strangers_and_the_missing_are_denied_alike(stage, refused):
    stage.put(table_bin=b"123")
    eve = stage.client("eve", stage.site.user("eve"))
    for ref in ("ann/some-data", "ann/no-data"):
        with refused(403):
            eve.dataset_status(ref)


def test_a_data_set_that_is_deleted_is_gone(stage, refused):
    stage.put(table_bin=b"123")
    stage.api.dataset_delete("ann", "some-data", no_confirm=True)
    with refused(403):
        stage.api.dataset_status("ann/some-data")
