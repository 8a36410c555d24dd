"""What values mean: read as written, refused where YAML would silently have meant something else."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reading import convert, node, rejected
from tm.core import kinds
from tm.core.field import Kind
from tm.core.nodes import AllRejected, Scalar
from tm.core.setting_keys import FIELDS as SETTINGS
from tm.core.task import KillMode, Restart
from tm.core.task_keys import FIELDS
from tm.core.template import Slot, Template
from tm.core.values import yaml_reading

KIND = {each.key: each.convert for each in (*FIELDS, *SETTINGS)}
COUNT = kinds.number(0, 10_000)
HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (kinds.SWITCH, "true", True),
        (kinds.SWITCH, "TRUE", True),
        (kinds.SWITCH, "False", False),
        (kinds.SWITCH, '"true"', True),
        (COUNT, "0", 0),
        (COUNT, "10000", 10_000),
        (COUNT, '"3"', 3),
        (kinds.number(-20, 19), "-20", -20),
        (kinds.DURATION, "0", 0.0),
        (kinds.DURATION, "3.50", 3.5),
        (kinds.DURATION, '"5"', 5.0),
        (kinds.DURATION, "500ms", 0.5),
        (kinds.DURATION, "10s", 10.0),
        (kinds.DURATION, "5m", 300.0),
        (kinds.DURATION, "2h", 7200.0),
        (kinds.DURATION, "1d", 86400.0),
        (kinds.DURATION, "1m30s", 90.0),
        (kinds.DURATION, "1d2h3m4s500ms", 93784.5),
        (kinds.DURATION, "1.5h", 5400.0),
        (kinds.DURATION, "1h05m", 3900.0),
        (kinds.SIZE, "0", 0),
        (kinds.SIZE, "1234", 1234),
        (kinds.SIZE, "64KiB", 65536),
        (kinds.SIZE, "10MiB", 10 * 1024**2),
        (kinds.SIZE, "10 mib", 10 * 1024**2),
        (kinds.SIZE, "1GB", 10**9),
        (kinds.SIZE, "1.5KiB", 1536),
        (kinds.SIZE, "5B", 5),
        (kinds.SIZE, "2TiB", 2 * 1024**4),
        (kinds.SIGNAL, "TERM", signal.SIGTERM),
        (kinds.SIGNAL, "SIGTERM", signal.SIGTERM),
        (kinds.SIGNAL, "sigusr1", signal.SIGUSR1),
        (kinds.SIGNAL, "15", 15),
        (kinds.SIGNAL, "RTMIN+1", signal.SIGRTMIN + 1),
        (kinds.UMASK, "022", 0o22),
        (kinds.UMASK, '"022"', 0o22),
        (kinds.UMASK, "22", 0o22),
        (kinds.UMASK, "0o22", 0o22),
        (kinds.UMASK, "0777", 0o777),
        (kinds.TEXT, "yes", "yes"),
        (kinds.TEXT, "022", "022"),
        (kinds.TEXT, "3.50", "3.50"),
        (kinds.TEXT, "1:30", "1:30"),
        (kinds.TEXT, '" a "', "a"),
        (KIND["restart"], "always", Restart.ALWAYS),
        (KIND["restart"], "on-failure", Restart.ON_FAILURE),
        (KIND["restart"], "unexpected", Restart.ON_FAILURE),
        (KIND["restart"], "true", Restart.ALWAYS),
        (KIND["restart"], "false", Restart.NEVER),
        (KIND["killMode"], "process", KillMode.PROCESS),
        (KIND["killMode"], "tree", KillMode.TREE),
        (KIND["logLevel"], "debug", "debug"),
        (kinds.USER, "www", "www"),
        (kinds.USER, "1000", "1000"),
        (kinds.GROUP, "wheel", "wheel"),
        (kinds.COMMAND, "run 010", "run 010"),
        (kinds.COMMAND, "[sleep, 010, yes]", ("sleep", "010", "yes")),
        (kinds.EXIT_CODES, "3", frozenset({3})),
        (kinds.EXIT_CODES, "[0, 2, SIGTERM, kill]", frozenset({0, 2, -15, -9})),
        (kinds.EXIT_CODES, "0,2", frozenset({0, 2})),
        (kinds.EXIT_CODES, "[]", frozenset()),
        (kinds.LABELS, "web", ("web",)),
        (kinds.LABELS, "web, eu ,web", ("web", "eu")),
        (kinds.LABELS, "[web, eu]", ("web", "eu")),
        (kinds.LIMITS, "{nofile: 65536, core: 0}", (("core", 0, 0), ("nofile", 65536, 65536))),
        (kinds.LIMITS, "{AS: 2GiB}", (("as", 2 * 1024**3, 2 * 1024**3),)),
        (kinds.LIMITS, "{RLIMIT_NPROC: 10:20}", (("nproc", 10, 20),)),
        (kinds.LIMITS, "{core: unlimited, stack: 8MiB:infinity}", (("core", -1, -1), ("stack", 8 * 1024**2, -1))),
        (kinds.CPUS, "0", (0,)),
        (kinds.CPUS, "3, 0-1,1", (0, 1, 3)),
        (kinds.CPUS, "[8191, 2-3]", (2, 3, 8191)),
        (kinds.SOME_SIZE, "1KiB", 1024),
        (kinds.LOG, "none", None),
        (kinds.LOG, "log/{task}.log", Template(("/start/log/", Slot.TASK, ".log"))),
        (kinds.LOG, '"{instance}"', Template(("/start/", Slot.INSTANCE))),
        (kinds.LOG, "/var/../log/./x//y", Template(("/log/x/y",))),
        (kinds.LOG, "${HOME}/x", Template(("/home/me/x",))),
        (kinds.ERROR_LOG, "stdout", Template(("stdout",))),
        (kinds.ERROR_LOG, "./stdout", Template(("/start/stdout",))),
        (kinds.PATH, '"{here}/x"', Template(("/etc/tm/x",))),
        (kinds.PATH, ".", Template(("/start",))),
        (kinds.DAEMON_PATH, "x{n}.log", "/start/x{n}.log"),
        (kinds.ENV_FILES, "a.env", (Template(("/start/a.env",)),)),
        (kinds.ENV_FILES, '["{task}.env?"]', (Template(("/start/", Slot.TASK, ".env?")),)),
        (kinds.ENVIRONMENT, "{A: 010, B: yes, C: , D: ~}", (("A", "010"), ("B", "yes"), ("C", ""), ("D", "~"))),
        (kinds.ENVIRONMENT, "[A=1=2, B=]", (("A", "1=2"), ("B", ""))),
        (kinds.ENVIRONMENT, '{A: "${HOME}", B: $$5, C: $5}', (("A", "/home/me"), ("B", "$5"), ("C", "$5"))),
    ],
)
def test_a_value_means(kind: Kind, written: str, value: object) -> None:
    if kind is kinds.ENVIRONMENT:
        assert [(name, template.text) for name, template in convert(kind, written)] == list(value)  # type: ignore[attr-defined, call-overload]
    else:
        assert convert(kind, written) == value


@pytest.mark.parametrize(
    ("kind", "written", "identity"),
    [
        (kinds.SWITCH, "yes", "bad-switch"),
        (kinds.SWITCH, "maybe", "bad-switch"),
        (kinds.SWITCH, "[true]", "wrong-shape"),
        (COUNT, "022", "bad-number"),
        (COUNT, "3.0", "bad-number"),
        (COUNT, "1_000", "bad-number"),
        (COUNT, "0x10", "bad-number"),
        (COUNT, '" 3"', "bad-number"),
        (COUNT, "+3", "bad-number"),
        (COUNT, "-1", "out-of-range"),
        (COUNT, "10001", "out-of-range"),
        (COUNT, HUGE, "bad-number"),
        (COUNT, "{a: 1}", "wrong-shape"),
        (kinds.DURATION, "1:30", "bad-duration"),
        (kinds.DURATION, "010", "bad-duration"),
        (kinds.DURATION, "-1", "bad-duration"),
        (kinds.DURATION, "1e3", "bad-duration"),
        (kinds.DURATION, "5x", "bad-duration"),
        (kinds.DURATION, '""', "bad-duration"),
        (kinds.DURATION, "30s1m", "bad-duration"),
        (kinds.DURATION, HUGE, "bad-duration"),
        (kinds.DURATION, "3651d", "out-of-range"),
        (kinds.SIZE, "10M", "bad-size"),
        (kinds.SIZE, "010", "bad-size"),
        (kinds.SIZE, "1.5", "bad-size"),
        (kinds.SIZE, "-1", "bad-size"),
        (kinds.SIZE, "many", "bad-size"),
        (kinds.SIZE, "9999999999TiB", "out-of-range"),
        (kinds.SIGNAL, "TERMM", "unknown-signal"),
        (kinds.SIGNAL, "0", "unknown-signal"),
        (kinds.SIGNAL, "99", "unknown-signal"),
        (kinds.SIGNAL, "RTMIN+99", "unknown-signal"),
        (kinds.UMASK, "028", "bad-umask"),
        (kinds.UMASK, "1777", "bad-umask"),
        (kinds.UMASK, "rwx", "bad-umask"),
        (kinds.TEXT, '"a\\nb"', "bad-text"),
        (kinds.TEXT, "[a]", "wrong-shape"),
        (KIND["restart"], "no", "bad-choice"),
        (KIND["restart"], "alwyas", "bad-choice"),
        (KIND["killMode"], "trees", "bad-choice"),
        (kinds.USER, "nobdy", "unknown-user"),
        (kinds.USER, '""', "unknown-user"),
        (kinds.USER, '"a\\nb"', "unknown-user"),
        (kinds.GROUP, "root", "unknown-group"),
        (kinds.COMMAND, "{a: b}", "wrong-shape"),
        (kinds.COMMAND, "[a, [b]]", "wrong-shape"),
        (kinds.EXIT_CODES, "256", "out-of-range"),
        (kinds.EXIT_CODES, "-15", "bad-exit-code"),
        (kinds.EXIT_CODES, "010", "bad-exit-code"),
        (kinds.EXIT_CODES, "[[0]]", "wrong-shape"),
        (kinds.EXIT_CODES, "{a: 0}", "wrong-shape"),
        (kinds.LABELS, "a b", "bad-label"),
        (kinds.LIMITS, "{nofiles: 1}", "unknown-limit"),
        (kinds.LIMITS, "{nofile: 1GiB}", "bad-number"),
        (kinds.LIMITS, "{core: 5:2}", "out-of-range"),
        (kinds.LIMITS, "{core: unlimited:2}", "out-of-range"),
        (kinds.LIMITS, "{core: [1]}", "wrong-shape"),
        (kinds.LIMITS, "5", "wrong-shape"),
        (kinds.CPUS, "all", "bad-cpu"),
        (kinds.CPUS, "010", "bad-cpu"),
        (kinds.CPUS, "-1", "bad-cpu"),
        (kinds.CPUS, "0--1", "bad-cpu"),
        (kinds.CPUS, "1.5", "bad-cpu"),
        (kinds.CPUS, "3-2", "out-of-range"),
        (kinds.CPUS, "8192", "out-of-range"),
        (kinds.CPUS, "0-8192", "out-of-range"),
        (kinds.CPUS, "[]", "out-of-range"),
        (kinds.CPUS, "[[0]]", "wrong-shape"),
        (kinds.CPUS, "{a: 0}", "wrong-shape"),
        (kinds.SOME_SIZE, "0", "out-of-range"),
        (kinds.SOME_SIZE, "-1", "bad-size"),
        (KIND["oomScoreAdjust"], "-1001", "out-of-range"),
        (KIND["oomScoreAdjust"], "1001", "out-of-range"),
        (KIND["maxAge"], "0", "out-of-range"),
        (KIND["maxAge"], "-5", "bad-duration"),
        (kinds.LOG, '""', "bad-path"),
        (kinds.LOG, "~/x", "bad-path"),
        (kinds.LOG, '"a\\tb"', "bad-path"),
        (kinds.LOG, "${NO_SUCH}/x", "unset-variable"),
        (kinds.LOG, "[a]", "wrong-shape"),
        (kinds.ENV_FILES, '"{n}.env"', "bad-path"),
        (kinds.ENVIRONMENT, "A=1", "wrong-shape"),
        (kinds.ENVIRONMENT, "{a b: 1}", "bad-variable"),
        (kinds.ENVIRONMENT, "{A: [1]}", "wrong-shape"),
        (kinds.ENVIRONMENT, "[A]", "bad-variable"),
        (kinds.ENVIRONMENT, "['1 A=2']", "bad-variable"),
        (kinds.ENVIRONMENT, "[A=1, A=2]", "duplicate-key"),
        (kinds.ENVIRONMENT, "{A: '${NO_SUCH}'}", "unset-variable"),
    ],
)
def test_a_value_is_refused(kind: Kind, written: str, identity: str) -> None:
    refused = rejected(kind, written)
    assert refused.id == identity
    assert refused.expected


@pytest.mark.parametrize(
    ("kind", "written", "told"),
    [
        (kinds.SWITCH, "yes", "YAML reads yes as true, others as text; write true"),
        (kinds.SWITCH, "off", "YAML reads off as false, others as text; write false"),
        (kinds.SWITCH, "1", "write true"),
        (kinds.SWITCH, '"no"', "write false"),
        (COUNT, "022", "YAML would read 022 as 18"),
        (COUNT, '"022"', ""),
        (COUNT, "yes", "YAML would read yes as true"),
        (COUNT, "1_000", "YAML would read 1_000 as 1000"),
        (COUNT, "3.50", "YAML would read 3.50 as 3.5"),
        (COUNT, "3.5", ""),
        (kinds.DURATION, "1:30", "YAML would read 1:30 as 90"),
        (kinds.DURATION, "2024-13-45", ""),
        (kinds.SIZE, "10M", "write 10MiB for powers of 1024"),
        (kinds.SIGNAL, "TREM", "did you mean 'TERM'?"),
        (KIND["restart"], "no", "YAML would read no as false; write never"),
        (KIND["restart"], '"yes"', "write always"),
        (KIND["restart"], "alwyas", "did you mean 'always'?"),
        (KIND["killMode"], "yes", "YAML would read yes as true"),
        (kinds.LIMITS, "{nofiles: 1}", "did you mean 'nofile'?"),
        (kinds.LOG, "~/x", "write '${HOME}/...'"),
    ],
)
def test_a_refusal_tells_what_to_write(kind: Kind, written: str, told: str) -> None:
    assert rejected(kind, written).suggestion == told


def test_a_long_text_has_no_other_reading() -> None:
    number = node("1" * 100)
    assert isinstance(number, Scalar)
    assert yaml_reading(number) == ""


def test_every_item_that_does_not_fit_is_told() -> None:
    with pytest.raises(AllRejected) as caught:
        convert(kinds.EXIT_CODES, "[0, 256, nope, 1]")
    assert [each.id for each in caught.value.rejections] == ["out-of-range", "bad-exit-code"]


@pytest.mark.parametrize("kind", [each.convert for each in (*FIELDS, *SETTINGS)])
@given(
    text=st.text(
        alphabet=st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\ufffe\uffff"), max_size=30
    )
)
def test_any_text_is_a_value_or_refused(kind: Kind, text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    try:
        convert(kind, quoted)
    except AllRejected as refused:
        assert all(each.expected and each.why for each in refused.rejections)


@given(st.integers(0, 10_000))
def test_a_number_is_itself(number: int) -> None:
    assert convert(COUNT, str(number)) == number
