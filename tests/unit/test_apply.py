"""Applying plans: whatever configurations follow one another, what lives is what the last one says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_supervisor import House

NAMES = st.sampled_from(["web", "db", "job"])
SPECS = st.fixed_dictionaries(
    {"command": st.sampled_from(["one", "two"]), "instances": st.integers(0, 3), "nice": st.sampled_from([None, 1])}
)
CONFIGS = st.dictionaries(NAMES, SPECS, max_size=3)


def text(config: dict[str, dict[str, object]]) -> str:
    tasks = {
        name: {key: value for key, value in spec.items() if value is not None}
        | {"autoLaunch": True, "restart": "always"}
        for name, spec in config.items()
    }
    return f"tasks: {tasks}".replace("'", '"').replace("True", "true")


def instances(config: dict[str, dict[str, object]]) -> set[tuple[str, int]]:
    return {(name, n) for name, spec in config.items() for n in range(1, int(str(spec["instances"])) + 1)}


@given(st.lists(CONFIGS, min_size=1, max_size=5))
def test_after_any_reloads_exactly_the_last_configuration_lives(
    configs: list[dict[str, dict[str, object]]],
) -> None:
    house = House()
    try:
        before: dict[tuple[str, int], int] = {}
        last: dict[str, dict[str, object]] = {}
        for config in configs:
            house.apply(text(config))
            untouched = {name for name in config if name in last and _same(config[name], last[name])}
            alive = {key: pid for pid, key in house.platform.alive.items()}
            for key, pid in before.items():
                if key[0] in untouched and key in instances(config):
                    assert alive[key] == pid
            _settle(house)
            assert set(house.supervisor.rows) == instances(config)
            assert sorted(house.platform.alive.values()) == sorted(instances(config))
            assert list(house.supervisor.rows) == [
                (name, n) for name in config for n in range(1, int(str(config[name]["instances"])) + 1)
            ]
            before = {key: pid for pid, key in house.platform.alive.items()}
            last = config
        house.apply("")
        _settle(house)
        assert (house.supervisor.rows, house.platform.alive) == ({}, {})
    finally:
        house.loop.close()


def _same(one: dict[str, object], other: dict[str, object]) -> bool:
    return (one["command"], one["nice"]) == (other["command"], other["nice"])


def _settle(house: House) -> None:
    """Let everything that was asked be done, and everything that was sent its stop signal die of it."""
    done: list[bool] = []
    house.supervisor.then(lambda: done.append(True))
    house.turn_until(lambda: bool(done))
    while doomed := [pid for pid, _ in house.platform.sent if pid in house.platform.alive]:
        for pid in doomed:
            house.die(pid, 0)
        house.loop.turn(0)
