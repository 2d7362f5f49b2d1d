"""A laptop's way of sending mail: onto the terminal and into a folder."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class LocalBackend(BaseEmailBackend):
    """Writes each message into `folder` as 1.eml, 2.eml and so on, and prints whom it is for and what it says."""

    def __init__(self, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = Path(folder)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write them all; return how many there were."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            self._write(message.message().as_bytes())
            sys.stdout.write(f"Mail to {', '.join(message.to)}: {message.subject}\n{message.body}\n")
            sys.stdout.flush()
        return len(email_messages)

    def _write(self, content: bytes) -> None:
        number = 1 + sum(1 for _ in self.folder.glob("*.eml"))
        while True:
            try:
                with (self.folder / f"{number}.eml").open("xb") as file:  # x: of two threads, one takes the number
                    file.write(content)
            except FileExistsError:
                number += 1
            else:
                return
