"""readiness and liveness: the real program, and real ones that it asks."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fault.kernel import nothing_left
from tests.integration.client import Daemon
from tests.integration.driver import ROOT, alive
from tests.integration.servers import answers, free_port, request_of, serving
from tests.waiting import until

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
REDIS = shutil.which("redis-server", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
REDIS_CLI = shutil.which("redis-cli")
SLEEPER = "command: sleep 1000, autoLaunch: true"


def up(home: Path, config: str) -> Daemon:
    return Daemon(home, config, "-l", "taskmaster.log")


def becomes(daemon: Daemon, name: str, state: str) -> dict[str, Any]:
    """Wait until a process is in a state; its row."""

    def reached() -> bool:
        return daemon.rows()[name]["status"] == state

    until(reached, f"{name} {state}, but: {daemon.log[-2000:]}")
    return daemon.rows()[name]


def logged(daemon: Daemon, words: str, count: int = 1) -> None:
    until(lambda: daemon.log.count(words) >= count, f"{words!r} in {daemon.log[-2000:]}")


def never_hangs_up(line: socket.socket) -> None:
    """Answers, and waits for the other side to end."""
    answers(b"HTTP/1.1 200 OK\r\n\r\n")(line)
    line.recv(1)


def says_nothing(line: socket.socket) -> None:
    """Hears the question, and waits for the other side to end."""
    request_of(line)
    line.recv(1)


# ---- real servers


def test_the_example_runs(tmp_path: Path) -> None:
    config = (ROOT / "etc" / "examples" / "health.yaml").read_text()
    with Daemon(tmp_path, config, "-l", "taskmaster.log", PORT=str(free_port())) as daemon:
        for name in ("site", "worker_1", "worker_2"):
            becomes(daemon, name, "RUNNING")
        heartbeat = tmp_path / "heartbeat.1"
        until(heartbeat.exists, "a heartbeat")
        probe = daemon.ctl("show", "worker_1").stdout
        assert "heartbeat.$TASKMASTER_N" in probe


def test_a_python_server_is_ready_when_it_answers_and_ended_when_it_does_not(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "health").write_text("fine\n")
    config = f"""
        tasks:
          web:
            command: {sys.executable} -m http.server {port} --bind 127.0.0.1 --directory www
            autoLaunch: true
            restart: always
            successfulStartTimeout: 20
            readiness: {{http: "http://localhost:{port}/health", period: 50ms}}
            liveness: {{http: "http://127.0.0.1:{port}/health", period: 50ms, failures: 2, status: 200}}
    """
    with up(tmp_path, config) as daemon:
        pid = becomes(daemon, "web", "RUNNING")["pid"]
        assert "STARTED -> RUNNING (ready)" in daemon.log
        assert "  Ready yes  CPU" in daemon.ctl("status", "-l").stdout
        os.rename(tmp_path / "www" / "health", tmp_path / "www" / "away")
        until(lambda: not alive(pid), "its end")
        os.rename(tmp_path / "www" / "away", tmp_path / "www" / "health")
        why = f"liveness: 2 failures in a row, the last: 127.0.0.1:{port}/health answers 404"
        logged(daemon, f"RUNNING -> STOPPING (unhealthy), {why}")
        logged(daemon, "STOPPING -> BACKOFF (reaped)")
        again = until(lambda: (row := becomes(daemon, "web", "RUNNING"))["pid"] != pid and row, "another one")
        assert again["restarts"] >= 1


@pytest.mark.skipif(NGINX is None, reason="there is no nginx here")
def test_nginx_is_ready_over_its_port_and_over_its_unix_socket(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        f"""
        daemon off; pid nginx.pid; error_log stderr;
        events {{}}
        http {{
          access_log access.log;
          client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp;
          uwsgi_temp_path tmp; scgi_temp_path tmp;
          server {{ listen 127.0.0.1:{port}; listen unix:{tmp_path}/nginx.sock;
            location /health {{ return 200 "fine\\n"; }}
            location / {{ return 302 /health; }} }}
        }}
        """
    )
    config = f"""
        defaults: {{autoLaunch: true, successfulStartTimeout: 20}}
        tasks:
          nginx:
            command: [{NGINX}, -p, "{tmp_path}", -c, nginx.conf]
            stopSignal: QUIT
            readiness: {{http: "unix://{tmp_path}/nginx.sock", path: /health, status: 200, period: 50ms}}
            liveness: {{http: "http://localhost:{port}/", method: HEAD, status: 302, period: 50ms}}
          asks:
            command: sleep 1000
            successfulStartTimeout: 0
            readiness: {{tcp: "localhost:{port}", period: 50ms}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "nginx", "RUNNING")
        becomes(daemon, "asks", "RUNNING")
        log = tmp_path / "access.log"
        until(lambda: log.read_text().count('"HEAD / HTTP/1.1" 302') >= 3, "questions after it was ready")
        assert '"GET /health HTTP/1.1" 200' in log.read_text()
        assert " 499 " not in log.read_text(), "we hang up in order"
        assert "liveness: failure" not in daemon.log


@pytest.mark.skipif(REDIS is None or REDIS_CLI is None, reason="there is no redis here")
def test_redis_is_ready_when_it_says_pong(tmp_path: Path) -> None:
    port = free_port()
    config = f"""
        tasks:
          redis:
            command: {REDIS} --port {port} --save "" --bind 127.0.0.1
            autoLaunch: true
            restart: always
            successfulStartTimeout: 20
            readiness: {{log: "Ready to accept connections"}}
            liveness: {{exec: "{REDIS_CLI} -p {port} ping | grep -x PONG", period: 100ms, timeout: 4, failures: 2}}
          cache:
            command: sleep 1000
            autoLaunch: true
            successfulStartTimeout: 0
            readiness: {{tcp: "localhost:{port}", period: 50ms}}
    """
    with up(tmp_path, config) as daemon:
        pid = becomes(daemon, "redis", "RUNNING")["pid"]
        becomes(daemon, "cache", "RUNNING")
        os.kill(pid, signal.SIGSTOP)
        logged(daemon, "RUNNING -> STOPPING (unhealthy)")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        until(lambda: not alive(pid), "its end")


# ---- a command


def test_a_command_is_run_as_the_task_is(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    ask = 'test "$PWD $GREETING $TASKMASTER_INSTANCE $TASKMASTER_PROBE $(umask)" = "$WANTED"'
    config = f"""
        tasks:
          web:
            command: sleep 1000
            instances: 2
            autoLaunch: true
            successfulStartTimeout: 0
            workingDirectory: there
            umask: "027"
            environment: {{GREETING: hello, WANTED: "{tmp_path}/there hello {{instance}} readiness 0027"}}
            readiness: {{exec: '{ask}', period: 50ms}}
    """
    with up(tmp_path, config) as daemon:
        for name in ("web_1", "web_2"):
            becomes(daemon, name, "RUNNING")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_command_is_run_as_the_tasks_user(tmp_path: Path) -> None:
    config = """
        tasks:
          web:
            command: sleep 1000
            autoLaunch: true
            user: nobody
            successfulStartTimeout: 0
            workingDirectory: /
            readiness: {exec: 'test "$(id -un)" = nobody', period: 50ms}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "RUNNING")


def test_not_ready_in_time_is_a_failed_start_with_what_the_probe_said_last(tmp_path: Path) -> None:
    config = f"""
        tasks:
          web: {{{SLEEPER}, restart: always, restartsAttempts: 1, restartDelay: 0, successfulStartTimeout: 500ms,
                 readiness: {{exec: "echo first; echo no database >&2; exit 3", period: 50ms}}}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "FATAL")
        assert daemon.log.count("(spawned)") == 2, "restartsAttempts and one"
        told = daemon.ctl("status").stdout
        assert "not ready within 0.5s: exit code 3: no database" in told
        assert "STARTED -> STOPPING (it is not ready)" in daemon.log
        done = daemon.ctl("start", "web")
        assert done.returncode == 1
        assert "not ready within 0.5s: exit code 3: no database" in done.stdout + done.stderr


def test_so_many_failures_are_a_failed_start_before_its_time(tmp_path: Path) -> None:
    config = f"""
        tasks:
          web: {{{SLEEPER}, restart: never, successfulStartTimeout: 0,
                 readiness: {{exec: "exit 3", period: 50ms, failures: 3}}}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "FATAL")
        assert "not ready: 3 failures in a row, the last: exit code 3" in daemon.ctl("status").stdout


def test_a_command_that_takes_too_long_is_killed_with_its_group_and_never_overtaken(tmp_path: Path) -> None:
    ask = "echo asked >> asked; echo waiting; sleep 1000 & echo $! >> left; sleep 1000"
    config = f"""
        tasks:
          web: {{{SLEEPER}, restart: never, successfulStartTimeout: 0,
                 readiness: {{exec: "{ask}", period: 50ms, timeout: 300ms, failures: 3}}}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "FATAL")
        assert "/bin/sh was not done within 0.3s: waiting" in daemon.log
        assert (tmp_path / "asked").read_text() == "asked\n" * 3
        for pid in map(int, (tmp_path / "left").read_text().split()):
            until(lambda pid=pid: not alive(pid), "the end of what it left")  # type: ignore[misc]


def test_what_a_command_leaves_behind_is_killed(tmp_path: Path) -> None:
    ask = "sleep 1000 & echo $! > left"
    config = f"tasks: {{web: {{{SLEEPER}, successfulStartTimeout: 0, readiness: {{exec: '{ask}', period: 50ms}}}}}}"
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "RUNNING")
        pid = int((tmp_path / "left").read_text())
        until(lambda: not alive(pid), "its end")


def test_a_command_that_is_not_there_is_a_failure_that_says_so(tmp_path: Path) -> None:
    config = f"""
        tasks:
          web: {{{SLEEPER}, restart: never, successfulStartTimeout: 0,
                 readiness: {{exec: [no-such-probe], period: 50ms, failures: 1}}}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "FATAL")
        assert "not ready: command 'no-such-probe' not found on PATH" in daemon.ctl("status").stdout


def test_probes_end_with_their_process_and_with_the_daemon(tmp_path: Path) -> None:
    ask = "echo $$ >> asked; exec sleep 1000"
    config = f"""
        defaults: {{successfulStartTimeout: 0}}
        tasks:
          web: {{{SLEEPER}, liveness: {{exec: "{ask}", period: 50ms, timeout: 60}}}}
          other: {{{SLEEPER}, liveness: {{exec: "{ask}", period: 50ms, timeout: 60}}, workingDirectory: /tmp}}
    """.replace("workingDirectory: /tmp", f"workingDirectory: {tmp_path}/other")
    (tmp_path / "other").mkdir()
    with up(tmp_path, config) as daemon:
        pid = int(until(lambda: (path := tmp_path / "asked").exists() and path.read_text(), "a question"))
        until((tmp_path / "other" / "asked").exists, "the other question")
        assert daemon.ctl("stop", "web").returncode == 0
        until(lambda: not alive(pid), "the end of the question")
        assert (tmp_path / "asked").read_text() == f"{pid}\n", "no other one"
        assert daemon.ctl("shutdown", "--keep").returncode == 0
        last = int((tmp_path / "other" / "asked").read_text())
        until(lambda: not alive(last), "the end of the other question")
        daemon.process.wait(20)
    with up(tmp_path, config) as daemon:
        assert daemon.ctl("stop", "all").returncode == 0


# ---- its output


@pytest.mark.parametrize("form", ["logFormat: raw", "logFormat: json", "logTimestamps: true"])
def test_a_line_of_its_output_makes_it_ready_as_it_was_written(tmp_path: Path, form: str) -> None:
    (tmp_path / "web.sh").write_text(
        "echo Ready to wait; while test ! -e go; do sleep 0.05; done\n"
        'printf "Ready to"; sleep 0.1; printf \' "serve"\\nmore\\n\'; exec sleep 1000\n'
    )
    config = f"""
        defaults: {{successfulStartTimeout: 20, autoLaunch: true, {form}, readiness: {{log: '^Ready to "s.rve"$'}}}}
        tasks:
          file: {{command: sh web.sh, stdout: web.log}}
          shared: {{command: sh web.sh, stdout: shared.log, instances: 2}}
          tail: {{command: sh web.sh}}
          errors: {{command: "exec sh web.sh >&2", stderr: errors.log}}
    """
    with up(tmp_path, config) as daemon:
        names = ("file", "shared_1", "shared_2", "tail", "errors")
        logged(daemon, "(spawned)", 5)
        until(lambda: "wait" in (tmp_path / "errors.log").read_text(), "its first line")
        assert {daemon.rows()[name]["status"] for name in names} == {"STARTED"}
        assert "  Ready no (no line of its output was the one)  CPU" in daemon.ctl("status", "-l").stdout
        (tmp_path / "go").touch()
        for name in names:
            becomes(daemon, name, "RUNNING")
        if form == "logFormat: raw":
            until(lambda: (tmp_path / "web.log").read_bytes().endswith(b"more\n"), "all it said")
            assert (tmp_path / "web.log").read_bytes() == b'Ready to wait\nReady to "serve"\nmore\n'


def test_only_the_output_of_this_start_counts(tmp_path: Path) -> None:
    config = """
        tasks:
          web: {command: "test -e second && exec sleep 1000; echo ready; touch second; sleep 0.3; exit 1",
                autoLaunch: true, restart: always, restartDelay: 0, successfulStartTimeout: 0, readiness: {log: ready},
                stdout: web.log}
    """
    with up(tmp_path, config) as daemon:
        logged(daemon, "(spawned)", 2)
        assert "STARTED -> RUNNING (ready)" in daemon.log
        assert daemon.rows()["web"]["status"] == "STARTED"


def test_an_expression_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    config = """
        tasks:
          web: {command: "python3 -c 'print(\\"a\\" * 40 + \\"c\\", flush=True)'; exec sleep 1000", autoLaunch: true,
                restart: never, successfulStartTimeout: 1, readiness: {log: "(a+)+b"}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "FATAL")
        assert "the expression of 'log' takes too long on its output" in daemon.ctl("status").stdout


# ---- over connections


def test_each_instance_is_asked_at_its_own_address(tmp_path: Path) -> None:
    config = f"""
        tasks:
          web: {{{SLEEPER}, instances: 2, successfulStartTimeout: 0,
                 readiness: {{http: "unix://{tmp_path}/{{n}}.sock", period: 50ms}}}}
    """
    with serving(answers(b"HTTP/1.1 200 OK\r\n\r\n"), tmp_path / "2.sock"), up(tmp_path, config) as daemon:
        becomes(daemon, "web_2", "RUNNING")
        assert daemon.rows()["web_1"]["status"] == "STARTED"
        assert f"{tmp_path}/1.sock: No such file or directory" in daemon.ctl("status", "-l", "web_1").stdout


def test_redirections_are_not_followed_and_an_answer_without_end_counts(tmp_path: Path) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"
    with (
        serving(answers(moved)) as first,
        serving(never_hangs_up) as second,
    ):
        config = f"""
            defaults: {{successfulStartTimeout: 0, restart: never}}
            tasks:
              moved: {{{SLEEPER}, readiness: {{http: "http://{first}/", period: 50ms}}}}
              strict: {{{SLEEPER}, readiness: {{http: "http://{first}/", status: 200, period: 50ms, failures: 1}}}}
              endless: {{{SLEEPER}, readiness: {{http: "http://{second}/", timeout: 300ms}}}}
        """
        with up(tmp_path, config) as daemon:
            becomes(daemon, "moved", "RUNNING")
            becomes(daemon, "endless", "RUNNING")
            becomes(daemon, "strict", "FATAL")
            assert f"{first}/ answers 302" in daemon.ctl("status").stdout


def test_who_accepts_and_says_nothing_has_not_answered(tmp_path: Path) -> None:
    with serving(says_nothing) as where:
        config = f"""
            tasks:
              web: {{{SLEEPER}, restart: never, successfulStartTimeout: 0,
                     readiness: {{http: "http://{where}/", period: 50ms, timeout: 200ms, failures: 1}}}}
        """
        with up(tmp_path, config) as daemon:
            becomes(daemon, "web", "FATAL")
            assert f"{where} does not answer within 0.2s" in daemon.ctl("status").stdout


# ---- liveness, reload, what people see


def test_a_success_forgets_failures(tmp_path: Path) -> None:
    ask = "test -e ok || { echo x >> n; test $(($(wc -l < n) % 2)) = 0; }"
    config = f"""
        tasks: {{web: {{{SLEEPER}, successfulStartTimeout: 0,
                        liveness: {{exec: '{ask}', period: 50ms, failures: 2}}}}}}
    """
    with up(tmp_path, config) as daemon:
        logged(daemon, "failure 1 of 2: exit code 1", 3)
        logged(daemon, "well again after 1 failure(s)", 3)
        assert daemon.rows()["web"]["status"] == "RUNNING"


def test_liveness_without_readiness_counts_from_the_start(tmp_path: Path) -> None:
    config = f"""
        tasks: {{web: {{{SLEEPER}, restart: never, successfulStartTimeout: 60,
                        liveness: {{exec: "exit 4", period: 50ms, failures: 1}}}}}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "FATAL")
        assert "STARTED -> STOPPING (unhealthy), liveness: exit code 4" in daemon.log


def test_so_many_successes_and_not_before_the_delay(tmp_path: Path) -> None:
    config = f"""
        defaults: {{successfulStartTimeout: 0, restart: never}}
        tasks:
          thrice: {{{SLEEPER}, readiness: {{exec: "echo >> thrice.asked", period: 20ms, successes: 3}}}}
          hour: {{{SLEEPER}, readiness: {{exec: "echo >> hour.asked", delay: 1h}}}}
          late: {{{SLEEPER}, liveness: {{exec: "exit 1", delay: 1h, period: 50ms, failures: 1}}}}
          soon: {{{SLEEPER}, liveness: {{exec: "exit 1", period: 50ms, failures: 9}}}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "thrice", "RUNNING")
        becomes(daemon, "soon", "FATAL")
        assert (tmp_path / "thrice.asked").read_text() == "\n" * 3
        assert not (tmp_path / "hour.asked").exists()
        assert (daemon.rows()["hour"]["status"], daemon.rows()["late"]["status"]) == ("STARTED", "RUNNING")
        assert "late liveness" not in daemon.log


def test_a_reload_of_liveness_takes_effect_in_what_runs(tmp_path: Path) -> None:
    def config(liveness: str) -> str:
        return f"tasks: {{web: {{{SLEEPER}, restart: never, successfulStartTimeout: 0{liveness}}}}}\n"

    with up(tmp_path, config("")) as daemon:
        pid = becomes(daemon, "web", "RUNNING")["pid"]
        daemon.write(config(", liveness: {exec: echo >> asked, period: 50ms}"))
        assert "update   web: liveness changed, no restart" in daemon.ctl("reload", "--dry-run").stdout
        assert daemon.ctl("reload").returncode == 0
        until((tmp_path / "asked").exists, "a question")
        daemon.write(config(", liveness: {exec: exit 5, period: 50ms, failures: 1}"))
        assert daemon.rows()["web"]["pid"] == pid
        daemon.ctl("reload", "--no-wait")
        becomes(daemon, "web", "FATAL")
        assert "liveness: exit code 5" in daemon.log


def test_a_reload_of_readiness_restarts(tmp_path: Path) -> None:
    def config(path: str) -> str:
        readiness = f"{{exec: test -e {path}, period: 50ms}}"
        return f"tasks: {{web: {{{SLEEPER}, successfulStartTimeout: 0, readiness: {readiness}}}}}\n"

    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    with up(tmp_path, config("a")) as daemon:
        pid = becomes(daemon, "web", "RUNNING")["pid"]
        daemon.write(config("b"))
        assert "restart  web: readiness changed" in daemon.ctl("reload", "--dry-run").stdout
        assert daemon.ctl("reload").returncode == 0
        assert becomes(daemon, "web", "RUNNING")["pid"] != pid


def test_what_people_and_programs_see(tmp_path: Path) -> None:
    config = f"""
        tasks:
          plain: {{{SLEEPER}}}
          web: {{{SLEEPER}, successfulStartTimeout: 0, readiness: {{exec: test -e ok, period: 50ms}}}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "STARTED")
        assert '"ready": false' in daemon.ctl("status", "--json", "web").stdout
        assert '"ready": null' in daemon.ctl("status", "--json", "plain").stdout
        until(lambda: "  Ready no (exit code 1)  CPU" in daemon.ctl("status", "-l", "web").stdout, "its last answer")
        assert "  Ready -  CPU" in daemon.ctl("status", "-l", "plain").stdout
        assert '"kind": "exec"' in daemon.ctl("show", "web").stdout
        (tmp_path / "ok").touch()
        becomes(daemon, "web", "RUNNING")
        assert '"ready": true' in daemon.ctl("status", "--json", "web").stdout


def test_nothing_is_left_open_by_a_thousand_questions(tmp_path: Path) -> None:
    with serving(answers(b"HTTP/1.1 500 no\r\n\r\n")) as where:
        config = f"""
            tasks:
              web: {{{SLEEPER}, instances: 20, successfulStartTimeout: 0,
                     readiness: {{http: "http://{where}/", period: 10ms}}}}
        """
        with up(tmp_path, config) as daemon:
            becomes(daemon, "web_20", "STARTED")
            fds = Path(f"/proc/{daemon.daemon}/fd")
            until(lambda: "answers 500" in daemon.ctl("status", "-l").stdout, "answers")
            most = max(len(list(fds.iterdir())) for _ in range(200))
            assert daemon.ctl("stop", "all").returncode == 0
            assert len(list(fds.iterdir())) <= most
            assert most < 20 * 3 + 60
    nothing_left(tmp_path)
