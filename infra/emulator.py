"""AWS on this machine: the emulator, in an environment of its own, for `make lambda` and the tests.

The account is thrown away with the block. It listens on the loopback interface only, and enforces IAM: a function has
its role's permissions and no others. The key "test" is the account's root.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

BASE_DIR = Path(__file__).resolve().parent.parent
REQUIREMENTS = BASE_DIR / "requirements" / "emulator.txt"
ENVIRONMENT = BASE_DIR / ".data" / "emulator"
START_SECONDS = 60
STOP_SECONDS = 10
ROOT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


class EmulatorDidNotStart(Exception):
    """The emulator ended, or doesn't answer; the text is the end of its log."""


@contextlib.contextmanager
def running_emulator(
    *, port: int = 0, log: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run an emulator for the length of the block and yield its endpoint's URL.

    Args:
        port: where it listens; 0 for any free port.
        log: where its log is kept; None throws it away.
        environment: variables beside the emulator's own. Functions inherit them: nothing else of ours leaks into them.

    Raises:
        EmulatorDidNotStart: it ended, or doesn't answer within `START_SECONDS`.
    """
    program = install()
    with tempfile.TemporaryDirectory(prefix="emulator-") as folder:
        number = port or _free_port()
        endpoint = f"http://localhost:{number}"
        log = log or Path(folder, "log")
        variables = {
            "PATH": os.defpath,
            "HOME": folder,
            "TMPDIR": folder,  # where functions' code is unpacked
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(number),
            "MINISTACK_HOST": "localhost",
            "LAMBDA_EXECUTOR": "local",
            "S3_DATA_DIR": str(Path(folder, "s3")),
            "AUTH": "true",
            "CLOUDTRAIL_RECORDING": "1",
            **ROOT,
            **(environment or {}),
        }
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(program)],
                env=variables,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # its functions are processes of its group, which ends with it
            )
        try:
            _wait_until_it_answers(process, endpoint, log)
            yield endpoint
        finally:
            _end_group(process)


def install() -> Path:
    """Return the emulator's program, installed when its requirements have changed.

    Its functions run on its own interpreter, so that one is ours.
    """
    program = ENVIRONMENT / "bin" / "ministack"
    stamp = ENVIRONMENT / ".installed"
    wanted = f"{sys.version}\n{ENVIRONMENT}\n{REQUIREMENTS.read_text()}"
    ENVIRONMENT.parent.mkdir(parents=True, exist_ok=True)
    with ENVIRONMENT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # processes that start at once install it once
        if not stamp.exists() or stamp.read_text() != wanted:
            uv = str(BASE_DIR / ".venv" / "bin" / "uv")
            quiet = [uv, "--quiet"]
            subprocess.run([*quiet, "venv", "--clear", "--python", sys.executable, str(ENVIRONMENT)], check=True)
            into = ["--python", str(ENVIRONMENT / "bin" / "python")]
            sync = ["pip", "sync", "--require-hashes", "--link-mode=copy", *into, str(REQUIREMENTS)]
            subprocess.run([*quiet, *sync], check=True)
            stamp.write_text(wanted)
    return program


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_it_answers(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{endpoint}/_ministack/health", timeout=5).raise_for_status()
            return
        time.sleep(0.05)
    raise EmulatorDidNotStart(log.read_text(errors="replace")[-2000:])


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the emulator and its functions, kindly first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
