"""The real machine as a configuration sees it, on real files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.errors import ConfigError, Missing, Unreadable
from tm.core.loading import load
from tm.edge.world import BYTES_MOST, Machine

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine({"A": "1"}, str(tmp_path))


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def refused(machine: Machine, path: str) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        machine.read(path)
    return caught.value


def test_the_variables_and_the_directory_are_what_it_was_made_of(machine: Machine, tmp_path: Path) -> None:
    assert (machine.environ, machine.cwd) == ({"A": "1"}, str(tmp_path))


def test_a_file_is_read_relative_to_the_directory_or_by_its_whole_path(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("é\n", encoding="utf-8")
    assert machine.read("f") == machine.read(str(tmp_path / "f")) == "é\n"


def test_a_byte_order_mark_is_no_part_of_the_text(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfa: 1")
    assert machine.read("f") == "a: 1"


@given(
    st.binary(max_size=300)
    | st.text(alphabet="tasks: {}\n-&*!|>'\"%@`#?,[]<=~\0\ufeff\u2028\udc80é", max_size=60).map(encoded)
)
def test_any_bytes_are_a_configuration_or_problems(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "web.yaml").write_bytes(content)
        try:
            load("web.yaml", Machine({}, directory))
        except ConfigError as error:
            assert error.problems
            assert str(error)


def test_a_file_that_is_not_there(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    assert isinstance(refused(machine, "gone"), Missing)
    assert isinstance(refused(machine, "f/below"), Missing)


def test_a_directory_is_refused(machine: Machine) -> None:
    assert refused(machine, ".").reason == "is a directory"


def test_a_fifo_is_refused_without_waiting_for_a_writer(machine: Machine, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert refused(machine, "fifo").reason == "is not a regular file"


def test_a_device_is_refused(machine: Machine) -> None:
    assert refused(machine, "/dev/zero").reason == "is not a regular file"


def test_a_path_that_is_none_is_refused(machine: Machine) -> None:
    assert "NUL" in refused(machine, "a\0b").reason


def test_a_circle_of_links_is_refused_with_the_reason(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert refused(machine, "loop").reason.startswith("cannot be read: ")


def test_too_large_a_file_is_refused(machine: Machine, tmp_path: Path) -> None:
    with open(tmp_path / "big", "wb") as file:
        file.truncate(BYTES_MOST + 1)
    assert refused(machine, "big").reason == "is larger than 4 MiB"


def test_the_first_byte_that_is_not_utf8_is_told_by_line_and_column(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes("a: 1\né: ".encode() + b"\xff\n\xfe")
    error = refused(machine, "f")
    assert (error.line, error.column) == (2, 4)
    assert error.reason == "is not UTF-8: the byte 0xff begins no character"


@pytest.mark.skipif(not AS_ROOT, reason="only root distrusts what others can write")
def test_root_refuses_what_others_can_write_and_says_what_to_type(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_text("tasks:")
    path.chmod(0o666)
    assert refused(machine, "a file").hint == f"chmod o-w '{path}'"
    assert "owner 0, group 0, mode 0666" in refused(machine, "a file").reason
    path.chmod(0o664)
    assert machine.read("a file") == "tasks:"
    os.chown(path, 0, 65534)
    assert refused(machine, "a file").hint == f"chmod g-w '{path}'"
    path.chmod(0o600)
    os.chown(path, 65534, 0)
    assert refused(machine, "a file").hint == f"chown 0 '{path}'"


@pytest.mark.skipif(AS_ROOT, reason="root can read everything")
def test_a_file_without_permission_is_refused_with_the_reason(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    (tmp_path / "f").chmod(0)
    assert refused(machine, "f").reason == "cannot be read: Permission denied"


def test_a_glob_gives_files_sorted(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "d" / "sub").mkdir(parents=True)
    for name in ("b.yaml", "a.yaml", "c.txt", "sub/x.yaml"):
        (tmp_path / "d" / name).write_text("")
    assert machine.glob("d/*.yaml") == ["d/a.yaml", "d/b.yaml"]
    assert machine.glob(f"{tmp_path}/d/*") == [f"{tmp_path}/d/{name}" for name in ("a.yaml", "b.yaml", "c.txt")]
    assert machine.glob("d/**/x.yaml") == ["d/sub/x.yaml"]
    assert machine.glob("none/*") == []


def test_users_and_groups(machine: Machine) -> None:
    assert machine.has_user("root") and not machine.has_user("no such user") and not machine.has_user("a\0")
    assert not machine.has_group("no such group") and not machine.has_group("a\0")
    assert any(machine.has_group(name) for name in ("root", "wheel"))


def test_nothing_has_changed_right_after_reading(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a")
    machine.read("f")
    refused(machine, "gone")
    machine.glob("*.yaml")
    assert machine.changed() == []


def test_what_was_rewritten_removed_or_has_come_is_told(machine: Machine, tmp_path: Path) -> None:
    for name in ("grown", "replaced", "removed", "same"):
        (tmp_path / name).write_text("a")
        machine.read(name)
    refused(machine, "new")
    machine.glob("*.yaml")
    with open(tmp_path / "grown", "a") as file:
        file.write("b")
    (tmp_path / "other").write_text("a")
    os.replace(tmp_path / "other", tmp_path / "replaced")
    (tmp_path / "removed").unlink()
    (tmp_path / "new").write_text("")
    (tmp_path / "x.yaml").write_text("")
    changed = ["grown", "new", "removed", "replaced"]
    assert machine.changed() == sorted([*(str(tmp_path / name) for name in changed), "*.yaml"])


def test_a_change_between_two_readings_is_a_change(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a")
    machine.read("f")
    (tmp_path / "f").write_text("other")
    machine.read("f")
    assert machine.changed() == [str(tmp_path / "f")]


def test_a_configuration_of_real_files(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "web.yaml").write_text("include: conf.d/*.yaml\ntasks: {web: {cmd: x, envFile: web.env}}")
    (tmp_path / "conf.d" / "a.yaml").write_text("tasks: {a: {cmd: 'run {here}'}}")
    (tmp_path / "web.env").write_text("A=1")
    machine = Machine({}, str(tmp_path))
    tasks = load("web.yaml", machine).tasks
    assert list(tasks) == ["a", "web"]
    assert tasks["a"].argv[1].text == f"{tmp_path}/conf.d"
    assert tasks["web"].environment[0][1].text == "1"
    (tmp_path / "conf.d" / "b.yaml").write_text("")
    (tmp_path / "web.env").write_text("A=22")
    assert machine.changed() == [f"{tmp_path}/web.env", "conf.d/*.yaml"]
    with pytest.raises(ConfigError, match=r"conf\.d/b\.yaml:1:1: the file is empty"):
        load("web.yaml", Machine({}, str(tmp_path)))
