"""A laptop's surroundings: the embedded PostgreSQL with its roles, and the keys that production has in its secrets.

Used by manage.py and by the tests' plugin, before Django's settings are read; never by wsgi or Lambda.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

DATA_DIR = Path(os.environ.get("DATA_DIR") or Path(__file__).resolve().parent.parent / ".data").resolve()
DATABASE = "fatfire"
ROLES = {
    "DATABASE_URL": "app_tenant",
    "DATABASE_OPERATOR_URL": "app_operator",
    "DATABASE_OWNER_URL": "app_owner",
}
_NEED_NO_DATABASE = {
    *("check", "help", "version", "--version", "--help", "-h", "compilemessages", "collectstatic"),
    "rollback",  # whose database is elsewhere; so is deploy's, but it has the migrations' SQL written by one
}


@contextlib.contextmanager
def use_local_services(arguments: Sequence[str], data_dir: Path = DATA_DIR) -> Iterator[None]:
    """Run the block with a database: DATABASE_URL's, else the embedded one, started (or joined) for its length.

    A command that needs none (`--help`, `check`) starts nothing.
    """
    if not arguments or arguments[0] in _NEED_NO_DATABASE or "--help" in arguments or "-h" in arguments:
        if "--deploy" not in arguments:  # which asks whether there is one
            os.environ.setdefault("SECRET_KEY", secrets.token_hex())
        yield
        return
    if os.environ.get("DATABASE_URL"):
        yield
        return

    from fatfire.kit.postgres import EmbeddedPostgres
    from fatfire.kit.roles import bootstrap_roles

    os.environ.setdefault("SECRET_KEY", _kept_secret(data_dir / "secret.key"))
    if not os.environ.get("MASTER_KEY_FILE"):
        _kept_secret(data_dir / "master.key")
        os.environ["MASTER_KEY_FILE"] = str(data_dir / "master.key")
    os.environ.setdefault("MEDIA_FOLDER", str(data_dir / "media"))
    with EmbeddedPostgres(data_dir / "postgres") as postgres:
        bootstrap_roles(postgres.dsn("postgres", "postgres"), database=DATABASE)
        for variable, role in ROLES.items():
            os.environ[variable] = postgres.dsn(role, DATABASE)
        os.environ.setdefault("SECURE_COOKIES", "false")  # a laptop serves plain HTTP, on the loopback interface
        os.environ.setdefault("SITE_URL", "http://127.0.0.1:8000")  # where runserver is; the demo knows better
        os.environ.setdefault("MAIL_URL", f"file:{data_dir / 'mail'}")
        yield


@contextlib.contextmanager
def choose_data_dir(arguments: Sequence[str]) -> Iterator[Path]:
    """Yield the directory of the data: DATA_DIR, but one to throw away for `demo --once` and `emulate`.

    That one begins from nothing, leaves a running demo alone, and is removed afterwards; a killed run's goes with the
    next. It lies beside the kept data and not in the system's temporary directory: the database server may run as
    another user, who can't pass through a private one.
    """
    if arguments[:1] != ["emulate"] and (arguments[:1] != ["demo"] or "--once" not in arguments):
        yield DATA_DIR
        return
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    for left_behind in DATA_DIR.glob("once-*"):
        if not Path("/proc", left_behind.name.removeprefix("once-")).exists():
            shutil.rmtree(left_behind)
    path = DATA_DIR / f"once-{os.getpid()}"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _kept_secret(path: Path) -> str:
    """Return the secret kept in the file, made at first use and readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # readable by its owner only
        draft = Path(name)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        # Linking is atomic: two processes that start at once keep one secret, and a kill leaves no half of one.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text()
