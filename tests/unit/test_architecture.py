"""The rules of the house that no linter knows, held over the syntax trees of tm/ and tests/.

Rooms and their order, no circles of imports, the purity of the core, the budgets of size, one `except
Exception`, states compared in the table alone, tests that never sleep. The first half is the checker, the
second what it is held against: the real tree, and small wrong sources that each rule must refuse.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

EXCEPTIONS: Final[Mapping[str, str]] = {
    # "tm/core/example.py:Name.method:rule": "why the excess is the simpler way",
}
"""Allowed excesses, each with its reason. One that is no longer needed fails the test."""

MODULE_LINES: Final = 300
FUNCTION_LINES: Final = 40
COMPLEXITY: Final = 8
PARAMETERS: Final = 5
PUBLIC_METHODS: Final = 12

FLOOR: Final = {"core": 0, "convert": 1, "edge": 2, "daemon": 3, "faces": 3, "cli": 4}
"""A room imports from rooms of a lower floor and from itself; from itself not at all where it is in ALONE."""

ALONE: Final = frozenset({"edge"})
"""Rooms whose modules do not know one another: one kernel facility each."""

PURE: Final = frozenset({"core", "convert"})

# fmt: off
IMPURE: Final = frozenset({
    "os", "io", "time", "select", "selectors", "socket", "subprocess", "threading", "logging", "random",
    "fcntl", "pwd", "grp", "glob", "shutil", "tempfile", "asyncio", "multiprocessing", "ctypes", "resource",
    "secrets", "tty", "termios", "pty", "readline",
})
# fmt: on
"""What a pure room may not import: descriptors, clocks, logs, chance, the machine."""

TABLE: Final = frozenset({"tm/core/transitions.py", "tm/core/process.py"})
"""The only files that may compare a state; everybody else asks the process a question with a name."""

CATCHES_ALL: Final = frozenset({"tm/edge/loop.py"})

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Sources: TypeAlias = Mapping[str, str]


class Finding(NamedTuple):
    """One broken rule, at `file`:`line`; `name` is the function or class, or what was imported."""

    file: str
    line: int
    name: str
    rule: str
    text: str

    @property
    def key(self) -> str:
        return f"{self.file}:{self.name}:{self.rule}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name}: {self.text} [{self.rule}]"


@dataclass(frozen=True)
class Module:
    """A source file of the package: `name` is its dotted name, `modules` all dotted names of the tree."""

    file: str
    source: str
    tree: ast.Module
    modules: frozenset[str]

    @property
    def name(self) -> str:
        return dotted(self.file)

    @property
    def room(self) -> str | None:
        parts = self.file.split("/")
        return parts[1] if len(parts) > 2 else None


Rule: TypeAlias = Callable[[Module], Iterator[Finding]]


def dotted(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "tm" else None


def modules(sources: Sources) -> list[Module]:
    names = frozenset(map(dotted, sources))
    return [Module(file, text, ast.parse(text, file), names) for file, text in sorted(sources.items())]


# ---- imports


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of whatever `module` imports, at its top or inside a function; modules where
    they can be told from names (`from tm.core import timers` is tm.core.timers).
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = absolute(module, node)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield node.lineno, full if full in module.modules else base


def absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.file.removesuffix(".py").split("/")[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def rooms(module: Module) -> Iterator[Finding]:
    room = module.room
    if room is None:
        return
    if room not in FLOOR:
        yield Finding(module.file, 1, room, "room", f"no such room; there are {', '.join(FLOOR)}")
        return
    for line, name in imports(module):
        other = room_of(name)
        if other is None or other not in FLOOR:  # not ours, or a name of tm itself
            continue
        if other == room:
            if room in ALONE and name != f"tm.{room}":
                yield Finding(module.file, line, name, "room", f"no module of {room} knows another")
        elif FLOOR[other] >= FLOOR[room]:
            yield Finding(module.file, line, name, "room", f"{room} does not import from {other}")


def pure(module: Module) -> Iterator[Finding]:
    if module.room not in PURE:
        return
    for line, name in imports(module):
        if name.split(".")[0] in IMPURE:
            yield Finding(module.file, line, name, "pure", f"{module.room} has no {name}: take it as a value")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "input"}:
            yield Finding(module.file, node.lineno, node.func.id, "pure", f"{module.room} opens and reads nothing")


def circles(sources: Sources) -> list[list[str]]:
    """Return each circle of imports as the names along it, the first one repeated at the end."""
    graph: dict[str, list[str]] = {}
    for module in modules(sources):
        targets = {name for _, name in imports(module) if name in module.modules and name != module.name}
        graph[module.name] = sorted(targets)
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
        elif name not in done:
            for target in graph[name]:
                visit(target, [*path, name])
            done.add(name)

    for name in graph:
        visit(name, [])
    return found


# ---- budgets


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function, bool]]:
    """Yield (qualified name, function, whether it is a method) of every function, nested ones as well."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node, isinstance(tree, ast.ClassDef)
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def complexity(node: ast.AST) -> int:
    """Count the ways through a function (McCabe): 1 and one for each branch, as the linter does. Boolean
    operators are not branches, nor is the last `case _`; a function inside counts with its own ways.
    """
    return 1 + sum(map(branches, ast.walk(node)))


def branches(node: ast.AST) -> int:
    match node:
        case ast.If():
            return 1
        case ast.For() | ast.AsyncFor() | ast.While():
            return 1 + bool(node.orelse)
        case ast.Try() | ast.TryStar():
            return len(node.handlers) + bool(node.orelse)
        case ast.Match():
            return sum(not irrefutable(case) for case in node.cases)
        case _:
            return 0


def irrefutable(case: ast.match_case) -> bool:
    return isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and case.guard is None


def lines_of(node: Function) -> int:
    """Count the lines of a function without its decorators and its docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def parameters(node: Function, method: bool) -> int:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    return len(arguments) - (method and not static and bool(arguments))


def budgets(module: Module) -> Iterator[Finding]:
    length = len(module.source.splitlines())
    if length > MODULE_LINES:
        yield Finding(module.file, 1, "module", "lines", f"{length} lines, at most {MODULE_LINES}")
    for name, node, method in functions(module.tree):
        for rule, amount, limit in (
            ("lines", lines_of(node), FUNCTION_LINES),
            ("complexity", complexity(node), COMPLEXITY),
            ("parameters", parameters(node, method), PARAMETERS),
        ):
            if amount > limit:
                yield Finding(module.file, node.lineno, name, rule, f"{rule} {amount}, at most {limit}")
    for item in ast.walk(module.tree):
        if isinstance(item, ast.ClassDef):
            methods = [f for f in item.body if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)]
            public = [f.name for f in methods if not f.name.startswith("_")]
            if len(public) > PUBLIC_METHODS:
                text = f"{len(public)} public methods, at most {PUBLIC_METHODS}"
                yield Finding(module.file, item.lineno, item.name, "methods", text)


# ---- habits


def catches(module: Module) -> Iterator[Finding]:
    """Yield each handler that catches everything; the one allowed is around a callback of the loop."""
    allowed = 1 if module.file in CATCHES_ALL else 0
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and catches_all(node.type):
            allowed -= 1
            if allowed < 0:
                yield Finding(module.file, node.lineno, "except", "catch", "name the errors that are meant")


def catches_all(what: ast.expr | None) -> bool:
    if isinstance(what, ast.Tuple):
        return any(map(catches_all, what.elts))
    return what is None or (isinstance(what, ast.Name) and what.id in {"Exception", "BaseException"})


def states(module: Module) -> Iterator[Finding]:
    """Yield each comparison of a state; not `a.state is not b.state`: it asks for a change and names none."""
    if module.file in TABLE:
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Compare):
            continue
        compared = [is_state(operand) for operand in (node.left, *node.comparators)]
        if any(compared) and not all(compared):
            text = "only the table compares states: ask the process by a property with a name"
            yield Finding(module.file, node.lineno, ast.unparse(node), "state", text)


def is_state(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "state"


def sleeps(module: Module) -> Iterator[Finding]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name == "sleep":
                yield Finding(module.file, node.lineno, "sleep", "sleep", "wait for a condition with a deadline")


def documented(module: Module) -> Iterator[Finding]:
    if module.tree.body and ast.get_docstring(module.tree) is None:
        yield Finding(module.file, 1, "module", "docstring", "a module opens with its one sentence")


PROGRAM_RULES: Final[tuple[Rule, ...]] = (rooms, pure, budgets, catches, states, documented)
TEST_RULES: Final[tuple[Rule, ...]] = (sleeps, documented)


def findings(sources: Sources, rules: tuple[Rule, ...]) -> list[Finding]:
    return [finding for module in modules(sources) for rule in rules for finding in rule(module)]


def tree(folder: str, *without: str) -> Sources:
    """Read the .py files under `folder`, by their path from the root, less the folders of `without`."""
    files = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / folder).rglob("*.py")}
    return {f: p.read_text(encoding="utf-8") for f, p in files.items() if not f.startswith(without)}


# ---- the real tree


def test_program_keeps_the_rules() -> None:
    broken = [f for f in findings(tree("tm"), PROGRAM_RULES) if f.key not in EXCEPTIONS]
    assert not broken, "\n" + "\n".join(map(str, broken))


def test_every_exception_is_still_needed_and_has_a_reason() -> None:
    needed = {f.key for f in findings(tree("tm"), PROGRAM_RULES)}
    assert set(EXCEPTIONS) <= needed
    assert all(len(reason) > 20 for reason in EXCEPTIONS.values())


def test_imports_go_in_no_circle() -> None:
    assert circles(tree("tm")) == []


def test_where_is_names_every_module_and_no_other() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("## Where is")[1].split("\n## ")[0]
    named: set[str] = set()
    for row in table.splitlines():
        folder = ""
        for path in re.findall(r"`((?:tm/[a-z]+/)?[a-z_]+\.py)`", row):
            folder = path.rpartition("/")[0] or folder
            named.add(f"{folder}/{path.rpartition('/')[2]}")
    assert named == {file for file in tree("tm") if not file.endswith("__init__.py")}


def test_tests_wait_for_conditions_and_never_sleep() -> None:
    broken = findings(tree("tests", "tests/programs/", "tests/data/"), TEST_RULES)
    assert not broken, "\n" + "\n".join(map(str, broken))


# ---- the checker itself


def long(lines: int) -> str:
    return "def f():\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("file", "source", "rule"),
    [
        ("tm/core/a.py", "import os", "pure"),
        ("tm/core/a.py", "from os import path", "pure"),
        ("tm/core/a.py", "import os.path", "pure"),
        ("tm/core/a.py", "def f():\n    from time import monotonic", "pure"),
        ("tm/core/a.py", "f = open('x')", "pure"),
        ("tm/core/a.py", "import tm.edge.b", "room"),
        ("tm/core/a.py", "from tm.edge import b", "room"),
        ("tm/core/a.py", "from ..edge import b", "room"),
        ("tm/core/a.py", "from tm.cli.b import x", "room"),
        ("tm/edge/a.py", "from tm.edge import b", "room"),
        ("tm/edge/a.py", "from tm.edge.b import x", "room"),
        ("tm/edge/a.py", "from .b import x", "room"),
        ("tm/edge/a.py", "from tm.daemon import b", "room"),
        ("tm/daemon/a.py", "from tm.faces import b", "room"),
        ("tm/faces/a.py", "from tm.daemon import b", "room"),
        ("tm/daemon/a.py", "from tm.cli import b", "room"),
        ("tm/kitchen/a.py", "x = 1", "room"),
        ("tm/core/a.py", "\n" * 301, "lines"),
        ("tm/core/a.py", long(41), "lines"),
        (
            "tm/core/a.py",
            "class A:\n    class B:\n        def f(self, a, b, c, d, e, *, g): ...",
            "parameters",
        ),
        ("tm/core/a.py", "def f(a, b, c, d, e, g): ...", "parameters"),
        ("tm/core/a.py", "class A:\n    @staticmethod\n    def f(a, b, c, d, e, g): ...", "parameters"),
        ("tm/core/a.py", "def f():\n" + "    if x: pass\n" * 8, "complexity"),
        (
            "tm/core/a.py",
            "def f():\n" + "    try: pass\n    except A: pass\n    else: pass\n" * 4,
            "complexity",
        ),
        ("tm/core/a.py", "def f():\n    match x:\n" + "        case 1: pass\n" * 8, "complexity"),
        ("tm/core/a.py", "class A:\n" + "".join(f"    def m{n}(self): ...\n" for n in range(13)), "methods"),
        ("tm/edge/a.py", "try: pass\nexcept Exception: pass", "catch"),
        ("tm/edge/a.py", "try: pass\nexcept: pass", "catch"),
        ("tm/edge/a.py", "try: pass\nexcept (OSError, BaseException): pass", "catch"),
        ("tm/edge/loop.py", "try: pass\nexcept Exception: pass\n" * 2, "catch"),
        ("tm/daemon/a.py", "if p.state == State.RUNNING: pass", "state"),
        ("tm/daemon/a.py", "x = p.state is not State.RUNNING", "state"),
        ("tm/daemon/a.py", "x = p.state in ALIVE", "state"),
        ("tm/daemon/a.py", "x = State.RUNNING == p.state", "state"),
        ("tm/core/a.py", "x = 1", "docstring"),
    ],
)
def test_a_wrong_source_is_found(file: str, source: str, rule: str) -> None:
    others = {
        "tm/core/b.py": "",
        "tm/edge/b.py": "",
        "tm/daemon/b.py": "",
        "tm/faces/b.py": "",
        "tm/cli/b.py": "",
    }
    assert rule in {f.rule for f in findings({**others, file: source}, PROGRAM_RULES) if f.file == file}


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("tm/core/a.py", '"""A."""\nfrom tm.core import b\nfrom tm import __version__\nimport signal'),
        ("tm/core/a.py", '"""A."""\ndef f():\n    """Long.\n' + "\n" * 60 + '    """\n'),
        ("tm/core/a.py", '"""A."""\n' + long(40)),
        (
            "tm/core/a.py",
            '"""A."""\ndef f():\n    match x:\n' + "        case 1: pass\n" * 7 + "        case _: pass",
        ),
        ("tm/core/a.py", '"""A."""\nclass A:\n    def f(self, a, b, c, d, e): ...'),
        ("tm/core/process.py", '"""A."""\nx = p.state is State.RUNNING'),
        ("tm/core/report.py", '"""A."""\nx = before.state is not after.state'),
        ("tm/edge/a.py", '"""A."""\nimport os\nfrom tm.core.b import x\nfrom tm.core import b'),
        ("tm/edge/loop.py", '"""A."""\ntry: pass\nexcept Exception: pass'),
        (
            "tm/daemon/a.py",
            '"""A."""\nfrom tm.daemon import b\nfrom tm.edge import b as c\nword = p.state.value',
        ),
        ("tm/cli/a.py", '"""A."""\nfrom tm.daemon.b import x\nfrom tm.cli import b'),
        ("tm/a.py", '"""A."""\nimport os'),
    ],
)
def test_a_right_source_passes(file: str, source: str) -> None:
    others = {"tm/core/b.py": "", "tm/edge/b.py": "", "tm/daemon/b.py": "", "tm/cli/b.py": ""}
    assert [f for f in findings({**others, file: source}, PROGRAM_RULES) if f.file == file] == []


@pytest.mark.parametrize("call", ["time.sleep(1)", "sleep(0.1)", "asyncio.sleep(0)", "await trio.sleep(1)"])
def test_a_sleeping_test_is_found(call: str) -> None:
    source = f'"""A test."""\nasync def test() -> None:\n    {call}\n'
    assert [f.rule for f in findings({"tests/unit/test_a.py": source}, TEST_RULES)] == ["sleep"]


def test_a_command_line_that_sleeps_is_no_sleeping_test() -> None:
    assert findings({"tests/a.py": '"""A."""\ncommand = "sleep 100"'}, TEST_RULES) == []


def test_a_circle_is_found_along_its_way() -> None:
    sources = {
        "tm/core/a.py": "from tm.core import b",
        "tm/core/b.py": "from tm.core.c import x",
        "tm/core/c.py": "def f():\n    import tm.core.a",
        "tm/core/d.py": "from tm.core import a",
    }
    assert circles(sources) == [["tm.core.a", "tm.core.b", "tm.core.c", "tm.core.a"]]


def test_no_circle_where_two_use_a_third() -> None:
    sources = {"tm/core/a.py": "import tm.core.c", "tm/core/b.py": "from . import a, c", "tm/core/c.py": ""}
    assert circles(sources) == []
