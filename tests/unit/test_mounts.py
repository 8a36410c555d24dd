"""Where a cgroup is seen, from what /proc tells."""

from __future__ import annotations

import pytest

from tm.core.mounts import places

V1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
WHOLE = "41 31 0:38 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n"
HYBRID = V1 + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
PART = "41 31 0:38 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n"
SPACED = "41 31 0:38 / /a\\040b rw - cgroup2 none rw\n"


@pytest.mark.parametrize(
    ("mounts", "membership", "expected"),
    [
        (WHOLE, "0::/\n", ["/sys/fs/cgroup"]),
        (WHOLE, "0::/system.slice/tm.service\n", ["/sys/fs/cgroup/system.slice/tm.service"]),
        (HYBRID, "9:cpu:/x\n0::/user\n", ["/sys/fs/cgroup/unified/user"]),
        (PART, "0::/docker/abc\n", ["/sys/fs/cgroup"]),
        (PART, "0::/docker/abc/x\n", ["/sys/fs/cgroup/x"]),
        (PART, "0::/docker/abcd\n", []),
        (PART, "0::/../other\n", []),
        (SPACED, "0::/x y\n", ["/a b/x y"]),
        (WHOLE + SPACED, "0::/x\n", ["/a b/x", "/sys/fs/cgroup/x"]),
        (V1, "0::/\n", []),
        (WHOLE, "9:cpu:/x\n", []),
        ("nonsense\n - cgroup2\n", "0::/\n", []),
    ],
)
def test_our_cgroup_is_where_it_is_mounted(mounts: str, membership: str, expected: list[str]) -> None:
    assert places(mounts, membership) == expected


PIDS = "33 31 0:30 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
TWO = "34 31 0:31 /part /mnt/both rw - cgroup none rw,cpuacct,pids\n"


@pytest.mark.parametrize(
    ("mounts", "membership", "expected"),
    [
        (V1 + PIDS, "9:cpu:/c\n8:pids:/x/y\n0::/\n", ["/sys/fs/cgroup/pids/x/y"]),
        (V1 + PIDS, "9:cpu:/c\n0::/\n", []),
        (V1 + WHOLE, "8:pids:/x\n0::/\n", []),
        (TWO, "8:cpuacct,pids:/part/x\n", ["/mnt/both/x"]),
        (TWO, "8:cpuacct,pids:/other\n", []),
    ],
)
def test_the_hierarchy_of_a_controller_is_found(mounts: str, membership: str, expected: list[str]) -> None:
    assert places(mounts, membership, "pids") == expected
