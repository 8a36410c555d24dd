"""The sockets that instances speak to, and what follows from what they say: readiness, the watchdog, a status line.

Guarantees: each start of an instance has a socket of its own, so that nothing that an earlier one has left unread is
taken for its word; whoever is none of its processes is not listened to (`daemon.kinship`); a flood of datagrams costs a
turn no more than AT_ONCE of them. The sockets are kept by the guardian, and what was said is noted beside them, so that
a daemon that is killed or upgraded is followed by one that knows it and misses nothing. Where the guardian has died
too, the socket is bound anew under its name: what was sent in between is lost, and the watchdog counts from the
beginning.
Leaves to others: the socket (`edge.ear`), what a datagram says (`core.utterance`), and silence (`daemon.silence`).
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from tm.core.launch import Launch, SpawnFailure, waits_for_word
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.core.timers import Instant
from tm.core.transitions import Event
from tm.core.utterance import STOPPING, Said, after, parse
from tm.daemon import kinship
from tm.daemon.adoption import Parties
from tm.daemon.failures import shortage
from tm.daemon.silence import Silence
from tm.daemon.speaker import PATIENCE, Speaker, which
from tm.daemon.ward import Ward
from tm.daemon.wiring import Key
from tm.edge import ear, pidfd
from tm.edge.ear import Ear, Heard
from tm.edge.loop import Rank

AT_ONCE: Final = 32
"""Datagrams of one socket in one turn."""
_KEPT: Final = "notify:"
"""How the names begin under which a guardian keeps sockets."""
_QUIET_S: Final = 1.0


class Ears:
    """All of one daemon."""

    def __init__(self, parties: Parties, ward: Ward, directory: str) -> None:
        """`directory` is where the sockets are, '' where there is no place for any."""
        self._loop, self._supervisor, self._machine = parties.loop, parties.supervisor, parties.machine
        self._event_log = parties.log
        self._ward = ward
        self._directory = directory
        self._speakers: dict[Key, Speaker] = {}
        self._silence = Silence(parties.loop, parties.supervisor, self._listen)
        self._ignored = 0
        self._quiet_until = parties.loop.now

    def said(self, key: Key) -> Said | None:
        """What the instance has said."""
        speaker = self._speakers.get(key)
        return None if speaker is None else speaker.said

    # ---- from the beginning of a start to its end

    def open(self, key: Key, launch: Launch) -> Launch | SpawnFailure:
        """A socket for a start, and the launch that tells it; or why there can be none."""
        if not self._directory:
            why = "there is no state directory for its NOTIFY_SOCKET"
            return SpawnFailure("notify", why, "start taskmaster with --state-dir")
        try:
            its = Ear(self._directory, ear.fresh_name())
        except OSError as error:
            return _unmade(self._directory, error)
        if (earlier := self._speakers.pop(key, None)) is not None:
            self._close(earlier)
        speaker = Speaker(key, its, self._generation(key))
        self._begin(speaker)
        speaker.note()
        return replace(launch, environment={**launch.environment, "NOTIFY_SOCKET": its.path})

    def observe(self, before: Process, what: Occurrence, row: Process) -> None:
        """What happens to a row."""
        key = (row.task.name, row.n)
        if (speaker := self._speakers.get(key)) is None:
            return
        if what.event in (Event.REAPED, Event.SPAWN_FAILED):
            del self._speakers[key]
            self._close(speaker)
            return
        if what.event is Event.SPAWNED and row.pid is not None:
            speaker.pid = row.pid
            self._watch(speaker)
        if row.running and not before.running:
            speaker.heard_at = self._loop.now
        self._silence.arm(speaker, row)

    def resume(self) -> None:
        """Go on with those whose processes were taken over, and put away what is left of others."""
        noted = {which(facts): (name, facts) for name, facts in ear.notes(self._directory)}
        for key, row in self._supervisor.rows.items():
            generation = self._generation(key)
            name, facts = noted.get((*key, generation), ("", {}))
            if name and row.pid is not None and key not in self._speakers:
                with suppress(OSError):
                    its = Ear(self._directory, name, self._ward.kept.get(_KEPT + name))
                    self._resume(Speaker(key, its, generation, row.pid), row, facts)
        used = {speaker.ear.name for speaker in self._speakers.values()}
        for word in [word for word in self._ward.kept if word.startswith(_KEPT) and word[len(_KEPT) :] not in used]:
            self._ward.discard(word)
        ear.sweep(self._directory, used)

    def _resume(self, speaker: Speaker, row: Process, facts: dict[str, Any]) -> None:
        """Go on with one that runs."""
        self._begin(speaker)
        speaker.recall(facts, row, self._loop.sample())
        if isinstance(main := facts.get("main_pid"), int):
            self._let_lead(speaker, main)
        if speaker.until is not None:
            self._extend(speaker, row, speaker.until)
        self._watch(speaker)
        self._silence.arm(speaker, row)

    def _begin(self, speaker: Speaker) -> None:
        self._speakers[speaker.key] = speaker
        if self._ward.lasting:
            self._ward.keep({_KEPT + speaker.ear.name: speaker.ear.fileno()})

    def _watch(self, speaker: Speaker) -> None:
        """As output, which comes before deaths: what it said last is heard before it is reaped."""

        def hear() -> None:
            self._listen(speaker)

        self._loop.watch(speaker.ear.fileno(), hear, Rank.OUTPUT)

    def _close(self, speaker: Speaker) -> None:
        self._silence.disarm(speaker)
        self._machine.lead(speaker.pid, None)
        self._loop.unwatch(speaker.ear.fileno())
        self._ward.drop(speaker.ear.fileno())
        speaker.ear.close()

    # ---- what is said

    def _listen(self, speaker: Speaker) -> bool:
        """Hear some of it; whether that was all."""
        known = speaker.said, speaker.until
        heard: Heard | None = None
        for _ in range(AT_ONCE):
            if not self._is_there(speaker) or (heard := speaker.ear.hear()) is None:
                break
            self._take(speaker, heard)
        if self._is_there(speaker) and (speaker.said, speaker.until) != known:
            speaker.note()
        return heard is None

    def _is_there(self, speaker: Speaker) -> bool:
        return self._speakers.get(speaker.key) is speaker

    def _take(self, speaker: Speaker, heard: Heard) -> None:
        """One datagram."""
        if not self._may_speak(speaker, heard):
            self._ignore(speaker, f"a datagram of pid {heard.pid}, uid {heard.uid}")
            return
        what = parse(heard.data)
        row, now = self._supervisor.rows[speaker.key], self._loop.sample()
        was, speaker.said = speaker.said, after(speaker.said, what)
        if what.alive:
            speaker.heard_at, speaker.patience = now, PATIENCE
        if what.main_pid is not None and not self._let_lead(speaker, what.main_pid):
            self._ignore(speaker, f"MAINPID={what.main_pid}")
        if speaker.said != was:
            self._log(speaker, f"it says: {speaker.said.text or 'that it is ready'}")
        self._follow_phase(speaker, row, was.phase, now)
        if what.extend_s is not None:
            self._extend(speaker, row, Instant(now + what.extend_s))
        self._silence.arm(speaker, row)
        if what.ready and waits_for_word(row.task):
            self._supervisor.found(speaker.pid, Event.READY)
        if what.faulty:
            self._supervisor.found(speaker.pid, Event.UNHEALTHY, "watchdog: it asked for it (WATCHDOG=trigger)")

    def _follow_phase(self, speaker: Speaker, row: Process, was: str, now: Instant) -> None:
        """One that says it stops has its grace for that; one that takes it back goes on as it was."""
        if speaker.said.phase == was:
            return
        speaker.stop_by = None
        if speaker.said.phase == STOPPING:
            speaker.stop_by = Instant(now + row.task.graceful_stop_timeout_s)
        elif was == STOPPING:
            speaker.heard_at = now

    def _extend(self, speaker: Speaker, row: Process, until: Instant) -> None:
        """It asks for more time: to become ready, or to end, whoever has asked for that."""
        if speaker.stop_by is not None and not row.stopping:
            speaker.stop_by = max(speaker.stop_by, until)
        elif row.deadline is not None and (row.stopping or waits_for_word(row.task)):
            speaker.until, speaker.since = until, row.since
            self._supervisor.timers.extend(speaker.key, row.deadline, until)

    def _let_lead(self, speaker: Speaker, pid: int) -> bool:
        """Let this process be the one that `killMode: process` is about, where it is one of the instance's own."""
        fd: int | None = None
        if pid != speaker.pid:
            try:
                fd = pidfd.open_pidfd(pid)  # before it is looked at: it cannot become a stranger's number after that
            except OSError:
                return False
            if not kinship.is_own(pid, speaker.pid, self._marks(speaker.key)):
                os.close(fd)
                return False
        speaker.said = speaker.said._replace(main_pid=None if fd is None else pid)
        self._machine.lead(speaker.pid, fd)
        return True

    def _may_speak(self, speaker: Speaker, heard: Heard) -> bool:
        """Whether it is one of its own. Who may name others as senders, as systemd-notify does with its parent, may
        name us, whose child it is then.
        """
        if heard.pid in (os.getpid(), self._ward.guardian):
            return True
        return kinship.may_speak(heard.pid, heard.uid, speaker.pid, self._marks(speaker.key))

    def _marks(self, key: Key) -> set[str]:
        return {f"{name}={value}" for name, value in self._machine.marks(key).items()}

    def _generation(self, key: Key) -> str:
        """Which start of the instance is the latest."""
        return self._machine.marks(key).get("TASKMASTER_GENERATION", "")

    def _ignore(self, speaker: Speaker, what: str) -> None:
        """Nobody is told of strangers more often than once a second."""
        self._ignored += 1
        now = self._loop.sample()
        if now >= self._quiet_until:
            more = f" ({self._ignored} such since the last time)" if self._ignored > 1 else ""
            self._log(speaker, f"{what}, which is none of its processes, is ignored{more}")
            self._quiet_until, self._ignored = Instant(now + _QUIET_S), 0

    def _log(self, speaker: Speaker, text: str) -> None:
        name = self._supervisor.rows[speaker.key].name
        self._event_log.write(Level.DEBUG, name, "notify", text)


def _unmade(directory: str, error: OSError) -> SpawnFailure:
    """Why there is no socket, in words."""
    number = error.errno or 0
    why = f"its NOTIFY_SOCKET cannot be made in {directory}: {os.strerror(number)}"
    if number == errno.ENAMETOOLONG:
        return SpawnFailure("notify", why, "name a shorter --state-dir: the address of a socket has 107 bytes at most")
    return SpawnFailure("notify", why, shortage(number), bool(shortage(number)))
