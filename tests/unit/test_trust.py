"""Who can write besides root and ourselves."""

from __future__ import annotations

import errno
from typing import NamedTuple

import pytest

from tm.core.trust import described, others_can_write, remedy, unfit


class Found(NamedTuple):
    st_mode: int
    st_uid: int = 0
    st_gid: int = 0


@pytest.mark.parametrize(
    ("status", "euid", "egid"),
    [
        (Found(0o100644), 0, 0),
        (Found(0o100664), 0, 0),
        (Found(0o40775), 1000, 1000),
        (Found(0o40775, 1000, 1000), 1000, 1000),
        (Found(0o40755, 1000, 50), 1000, 1000),
    ],
)
def test_ours_and_roots_alone(status: Found, euid: int, egid: int) -> None:
    assert not others_can_write(status, euid, egid)
    assert remedy("/etc/x", status, euid, egid) == ""


@pytest.mark.parametrize(
    ("status", "euid", "egid", "command"),
    [
        (Found(0o100666), 0, 0, "chmod o-w '/a b'"),
        (Found(0o41777), 1000, 1000, "chmod o-w '/a b'"),
        (Found(0o100664, 0, 50), 0, 0, "chmod g-w '/a b'"),
        (Found(0o40775, 1000, 50), 1000, 1000, "chmod g-w '/a b'"),
        (Found(0o100666, 0, 50), 0, 0, "chmod go-w '/a b'"),
        (Found(0o100644, 1000), 0, 0, "chown 0 '/a b'"),
        (Found(0o40755, 1001, 1001), 1000, 1000, "chown 1000 '/a b'"),
        (Found(0o100664, 1000, 1000), 0, 0, "chown 0 '/a b' && chmod g-w '/a b'"),
    ],
)
def test_what_others_can_write_and_what_to_type(status: Found, euid: int, egid: int, command: str) -> None:
    assert others_can_write(status, euid, egid)
    assert remedy("/a b", status, euid, egid) == command


def test_owner_group_and_mode_are_told() -> None:
    assert described(Found(0o41777, 3, 4)) == "owner 3, group 4, mode 1777"


@pytest.mark.parametrize(
    ("status", "links", "why"),
    [
        (Found(0o100600), 1, None),
        (Found(0o100600, 7), 1, None),
        (Found(0o40700), 1, (errno.EINVAL, "it is no regular file")),
        (Found(0o100600), 2, (errno.EMLINK, "it has a second name, a hard link")),
        (Found(0o100600, 8), 1, (errno.EPERM, "it belongs to uid 8")),
    ],
)
def test_what_cannot_be_a_file_of_ours(status: Found, links: int, why: tuple[int, str] | None) -> None:
    assert unfit(status, links, {0, 7}) == why
