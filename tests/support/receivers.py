"""Somebody on loopback who is told of things: an HTTP server and an SMTP server, both real."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass
class Posted:
    """What was posted, and the status each next answer gives (200 when none is left)."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alarms?from=site"


@contextmanager
def running_webhook() -> Iterator[Posted]:
    """Take POSTs until the block ends."""
    posted = Posted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.requests.append((dict(self.headers), body))
            self.send_response(posted.answers.pop(0) if posted.answers else 200)
            self.send_header("Location", posted.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: tests look at what was posted."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        posted.port = server.server_port
        with _serving(server):
            yield posted


@dataclass
class Mailed:
    """The mails that came, as (recipients, source), and an answer for the next one, if not OK."""

    port: int = 0
    refuse: list[bytes] = field(default_factory=list)
    mails: list[tuple[list[str], bytes]] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)


@contextmanager
def running_mail_server() -> Iterator[Mailed]:
    """Take mails by SMTP (RFC 5321, with AUTH PLAIN) until the block ends."""
    mailed = Mailed()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: bytes) -> None:
            self.wfile.write(line + b"\r\n")

        def handle(self) -> None:
            self.say(b"220 loopback")
            to: list[str] = []
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    self.wfile.write(b"250-loopback\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n")
                elif verb == b"AUTH":
                    mailed.logins.append(line.strip())
                    self.say(b"235 ok")
                elif verb == b"RCPT":
                    to.append(line.decode().split("<")[1].split(">")[0])
                    self.say(mailed.refuse.pop(0) if mailed.refuse else b"250 ok")
                elif verb == b"DATA":
                    self.say(b"354 go on")
                    source = b""
                    while (row := self.rfile.readline()) != b".\r\n":
                        source += row
                    mailed.mails.append((to, source))
                    self.say(b"250 ok")
                elif verb == b"QUIT":
                    self.say(b"221 bye")
                    return
                else:
                    self.say(b"250 ok")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        mailed.port = server.server_address[1]
        with _serving(server):
            yield mailed


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(5)
