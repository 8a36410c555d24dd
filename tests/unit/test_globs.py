"""Which paths globs match, and which directories lead there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.globs import Globs


@pytest.mark.parametrize(
    ("pattern", "matched", "others"),
    [
        ("/a/b.c", ["/a/b.c", "/a/b.c/d", "/a/b.c/d/e"], ["/a", "/a/b.d", "/a/b.c/.git", "/a/b.c/.git/x", "/b.c"]),
        ("/a/*.py", ["/a/x.py", "/a/y.py"], ["/a/x.pyc", "/a/b/x.py", "/a/.x.py", "/x.py"]),
        ("/a/.*", ["/a/.x"], ["/a/x"]),
        ("/a/?[0-9]", ["/a/x1"], ["/a/x", "/a/xx1", "/a/.1"]),
        ("/a/**", ["/a/x", "/a/b/x", "/a/b/c/x", "/a"], ["/b", "/a/.git/x", "/a/b/.x"]),
        ("/a/**/x", ["/a/x", "/a/b/x", "/a/b/c/x"], ["/a/b", "/a/.git/x", "/a/x/y"]),
        ("/a/**/.env", ["/a/.env", "/a/b/.env"], ["/a/.git/.env"]),
        ("/*/b/**/c/*.d", ["/a/b/c/x.d", "/a/b/1/2/c/x.d"], ["/a/b/c/1/x.d", "/a/c/x.d"]),
        ("/", ["/", "/a/b"], ["/.a"]),
    ],
)
def test_what_a_glob_matches(pattern: str, matched: list[str], others: list[str]) -> None:
    globs = Globs([pattern])
    assert [path for path in matched if not globs.matches(path)] == []
    assert [path for path in others if globs.matches(path)] == []


@pytest.mark.parametrize(
    ("pattern", "leading", "others"),
    [
        ("/a/b/c", ["/", "/a", "/a/b", "/a/b/c", "/a/b/c/d"], ["/b", "/a/c", "/a/b/c/.git"]),
        ("/a/*.py", ["/", "/a"], ["/a/b", "/b"]),
        ("/a/*/c", ["/a", "/a/b"], ["/a/.b", "/a/b/c"]),
        ("/a/**/c", ["/a", "/a/b", "/a/b/b", "/a/c"], ["/a/.git", "/a/b/.git", "/b"]),
    ],
)
def test_which_directories_lead_to_what_it_matches(pattern: str, leading: list[str], others: list[str]) -> None:
    globs = Globs([pattern])
    assert [path for path in leading if not globs.leads(path)] == []
    assert [path for path in others if globs.leads(path)] == []


def test_several_are_one_set() -> None:
    globs = Globs(["/a/b/*", "/a/b/**/x", "/c/d"])
    assert globs.roots == ("/a/b", "/c")
    assert globs.matches("/c/d") and globs.matches("/a/b/y") and not globs.matches("/a/b/c/y")


NAMES = st.lists(st.sampled_from(["a", "b", ".c", "*", "**", "?"]), min_size=1, max_size=5)
PLAIN = st.lists(st.sampled_from(["a", "b", ".c"]), min_size=1, max_size=6)


@given(pattern=NAMES, names=PLAIN)
def test_every_directory_on_the_way_to_a_match_leads_to_it(pattern: list[str], names: list[str]) -> None:
    globs = Globs(["/" + "/".join(pattern)])
    if globs.matches("/" + "/".join(names)):
        assert all(globs.leads("/" + "/".join(names[:count])) for count in range(len(names)))
