"""A mail server on the loopback interface that keeps what it takes and answers as it is told."""

import contextlib
import email
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.policy import default


@dataclass
class MailServer:
    """What it took, and the answers that a test wants instead of its own, by command ("RCPT": "550 No such user")."""

    port: int
    taken: list[Message] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def mailer(self) -> dict[str, object]:
        """Return Django's dictionary of a mailer that hands its mail to this server."""
        return {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": self.port, "timeout": 10},
        }


@contextlib.contextmanager
def running_mail_server() -> Iterator[MailServer]:
    """Serve for the length of the block."""

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            for line in self.rfile:
                command = line[:4].upper().strip().decode()
                if command == "QUIT":
                    self.say("221 bye")
                    return
                answer = mail_server.answers.get(command, "354 go on" if command == "DATA" else "250 good")
                self.say(answer)
                if answer.startswith("354"):
                    self.take()
                if answer.startswith("421"):
                    return

        def say(self, answer: str) -> None:
            self.wfile.write(f"{answer}\r\n".encode())

        def take(self) -> None:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.removeprefix(b"."))
            mail_server.taken.append(email.message_from_bytes(b"".join(lines), policy=default))
            self.say(mail_server.answers.get("END", "250 taken"))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation) as server:
        server.daemon_threads = True
        mail_server = MailServer(server.server_address[1])
        # It looks for its end so often, in seconds: the default of half a second is what a test would wait.
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield mail_server
        finally:
            server.shutdown()
            thread.join()
