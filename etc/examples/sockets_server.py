"""A web server for sockets.yaml, of the standard library alone: it takes its socket as LISTEN_FDS says.

At SIGTERM it takes nobody new, answers whoever is connected once more, saying that it closes then, and ends.
"""

import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

IDLE_S = 2


def given(name: str) -> socket.socket:
    """The socket of this name."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise SystemExit("no sockets: run me with taskmaster, or with systemd-socket-activate")
    return socket.socket(fileno=3 + os.environ["LISTEN_FDNAMES"].split(":").index(name))


class Answer(BaseHTTPRequestHandler):
    """One connection, for any number of requests."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    wbufsize = -1  # an answer goes out whole

    def do_GET(self) -> None:
        """Say who answers."""
        body = f"{os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if ending.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Around a socket that listens already. Its end waits for the connections that there are."""

    daemon_threads = False

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(listening.getsockname(), Answer, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.socket.setblocking(False)  # the other instance may have been quicker


def end(_signum: int, _frame: object) -> None:
    """Take nobody new; that waits for the loop, so it is not done in it."""
    ending.set()
    threading.Thread(target=server.shutdown).start()


ending = threading.Event()
server = Server(given("http"))
signal.signal(signal.SIGTERM, end)
server.serve_forever(poll_interval=0.1)
server.server_close()
