"""The eml provider writes each message whole, or says why not and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from notify.channels import provider_for
from notify.channels.provider import Envelope
from notify.errors import Misconfigured
from tests.providers import sending

ID = UUID("0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee")
CONTENT = b"Subject: x\r\n\r\n.dot\r\n"


def envelope(content: bytes = CONTENT) -> Envelope:
    return Envelope(ID, "ada@example.org", "bounces@example.org", content)


def test_the_file_holds_exactly_the_content(tmp_path: Path) -> None:
    with sending(f"eml://{tmp_path}/new%20folder") as send:
        send(envelope())
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == [f"{ID}.eml"]
    assert (tmp_path / "new folder" / f"{ID}.eml").read_bytes() == CONTENT


def test_a_message_sent_again_replaces_its_own_file(tmp_path: Path) -> None:
    with sending(f"eml://{tmp_path}") as send:
        send(envelope(b"old\r\n"))
        send(envelope())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [CONTENT]


def test_a_folder_that_is_a_file_is_misconfigured(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured), provider_for(f"eml://{tmp_path}/file").open():
        pass


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.eml").mkdir()
    with sending(f"eml://{tmp_path}") as send, pytest.raises(Misconfigured):
        send(envelope())
    assert [path.name for path in tmp_path.iterdir()] == [f"{ID}.eml"]
