"""What is put into a function: the libraries it needs, our code, the collected static files, all compiled.

A package is known by the digest of what it is made of, so that the same code is the same package on every machine, and
nothing is packed, sent or deployed twice.
"""

import ast
import fcntl
import functools
import hashlib
import importlib.util
import json
import marshal
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.core import get_global

from fatfire.kit.locales import LOCALES
from infra import zappa
from infra.system import BASE_DIR, PAGES, Stage, System

CACHE = BASE_DIR / ".data" / "packages"
RUNTIME = "3.13"
"""The Python of the functions: what compiles their code must be the same."""
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}

# Libraries that are in the requirements and of no use in a function.
NOT_PACKED = {
    "boto3": "is in Lambda's runtime",
    "botocore": "is in Lambda's runtime",
    "s3transfer": "is in Lambda's runtime",
    "jmespath": "is in Lambda's runtime",
    "python-dateutil": "is in Lambda's runtime",
    "six": "is in Lambda's runtime",
    "urllib3": "is in Lambda's runtime",
    "pycurl": "Celery's worker in a container receives by it",
    "prompt-toolkit": "Celery's shell",
    "wcwidth": "Celery's shell",
    "click-repl": "Celery's shell",
    **dict.fromkeys(
        [
            "argcomplete",
            "cfn-flip",
            "charset-normalizer",
            "hjson",
            "pip",
            "placebo",
            "python-slugify",
            "pyyaml",
            "requests",
            "setuptools",
            "text-unidecode",
            "toml",
            "tqdm",
            "troposphere",
            "wheel",
        ],
        "Zappa's, when it deploys",
    ),
}


def _locale_data(tags: Iterable[str]) -> set[str]:
    """Return the names of Babel's files for these locales, each with those it inherits from."""
    names = {"root"}
    exceptions = get_global("parent_exceptions")
    for tag in tags:
        name = tag.replace("-", "_")
        while name != "root":
            names.add(name)
            name = exceptions.get(name) or (name.rpartition("_")[0] or "root")
    return names


_LOCALE_DATA = _locale_data(LOCALES)
# AES-GCM, of all that pycryptodomex can do.
_AES_GCM = (
    r"(?:(?:Cipher|Hash|Random|Util)/)?__init__"
    r"|Cipher/(?:AES|_mode_(?:ctr|ecb|gcm)|_raw_(?:aes|aesni|ctr|ecb))|Hash/(?:_?BLAKE2s|_ghash_\w+)"
    r"|Util/(?:_cpu_features|_cpuid_c|_file_system|_raw_api|number|py3compat)"
)
# Files of libraries that nothing here reads.
_PRUNED = re.compile(
    r"^(?:"
    rf"Cryptodome/(?!(?:{_AES_GCM})\.)"
    r"|django/contrib/(?:gis|admindocs|flatpages|humanize|redirects|sitemaps|syndication)/"
    r"|django/db/backends/(?:mysql|oracle|sqlite3)/"
    r"|(?:django|unfold)/(?:.+/)?locale/(?!en/)[^/]+/LC_MESSAGES/"
    r"|(?:django|unfold)/(?:.+/)?locale/.+\.po$"
    rf"|babel/locale-data/(?!(?:{'|'.join(sorted(_LOCALE_DATA))})\.dat$)|babel/messages/"
    r"|[^/]+/(?:.+/)?static/"  # collected below
    r"|celery/(?:bin|contrib/testing|backends/(?!__init__|base))"
    r"|kombu/transport/(?!__init__|base|memory|virtual|SQS|amqp|native)"
    r"|pydantic/(?:v1/|mypy)|werkzeug/debug/"
    r"|zappa/(?:cli|core|letsencrypt)\."
    r"|[^/]+\.dist-info/(?!METADATA$|entry_points\.txt$)"
    r"|bin/"
    r")|\.(?:pyi|c|h|pxd|pyx)$|(?:^|/)__pycache__/"
)
_STATIC_PRUNED = re.compile(
    r"\.map(?:\.|$)|/redoc|/htmx-4|/htmax|^django_htmx/ext/"
    r"|/(?:htmx-2|jquery|xregexp)\.[0-9a-f]{12}\."  # for DEBUG; pages use those with ".min"
)
_MANIFEST = "staticfiles.json"
# Of the static files, those that a stage answers with; a stage without pages answers with none.
_STATIC_SERVED: dict[Stage, re.Pattern[str]] = {
    "web": re.compile(r"(?!admin/|console/|unfold/(?!fonts/inter/))"),
    "console": re.compile(r"(?!ninja/)"),  # no API, no documentation of it
}
# Our own folders, without what runs on a laptop only.
_OURS = ("fatfire", "tenants", "services", "workers")
_NOT_OURS = re.compile(
    r"(?:^|/)(?:__pycache__|static)/|/integration/sandbox/|^fatfire/(?:local|demo|demo_records)\.py$"
    r"|^fatfire/management/commands/(?:demo|deploy|emulate|restore_drill|rollback)\.py$"
)
_EPOCH = (1980, 1, 1, 0, 0, 0)
# Compiled by content, unchecked: a zip doesn't keep the times by which Python would see that source and code belong
# together, and Lambda would compile all of it at each cold start, having nowhere to keep it.
_UNCHECKED = (0b01).to_bytes(4, "little")


class WrongPython(Exception):
    """This Python can't compile for the functions'; the text says which can."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package by its digest; `zip` is made when it is first asked for."""

    stage: Stage
    architecture: str
    digest: str

    @property
    def key(self) -> str:
        """Return its name in the bucket of packages."""
        return f"packages/{self.digest}.zip"

    def zip(self) -> Path:
        """Return the zip file, made unless it is in the cache."""
        path = CACHE / f"{self.digest}.zip"
        with _only_one(self.digest):
            if not path.exists():
                with tempfile.NamedTemporaryFile(dir=CACHE, suffix=".zip", delete=False) as draft:
                    shutil.copyfile(_libraries(self.stage, self.architecture), draft.name)
                with zipfile.ZipFile(draft.name, "a") as archive:
                    _write(archive, _our_files())
                    _write_static(archive, self.stage)
                    if self.stage in PAGES:
                        _write_text(archive, "zappa_settings.py", zappa.settings_module(self.stage))
                Path(draft.name).replace(path)
        return path


def package(stage: Stage, system: System) -> Package:
    """Return the package of a stage's function; nothing is made yet.

    Raises:
        WrongPython: this isn't the functions' Python, whose compiled code is of no use to another.
    """
    if (running := f"{sys.version_info.major}.{sys.version_info.minor}") != RUNTIME:
        msg = f"the functions run Python {RUNTIME}; deploy with that, not with {running}"
        raise WrongPython(msg)
    of_its_pages = stage + json.dumps(zappa.stage_settings(stage)) if stage in PAGES else ""
    parts = [_libraries_digest(stage, system.architecture), _our_digest(), of_its_pages]
    return Package(stage, system.architecture, _digest(part.encode() for part in parts))


def _requirements(stage: Stage) -> str:
    """Return the pinned requirements of a stage, with their hashes, without what isn't packed."""
    text = (BASE_DIR / "requirements" / ("media.txt" if stage == "media" else "base.txt")).read_text()
    lines = text.replace("\\\n", " ").splitlines()
    return "\n".join(line for line in lines if line.partition("==")[0].strip() not in NOT_PACKED)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()[:24]


def _libraries_digest(stage: Stage, architecture: str) -> str:
    here = Path(__file__).read_text()
    return _digest(part.encode() for part in (_requirements(stage), architecture, RUNTIME, here))


@functools.cache
def _our_digest() -> str:
    files = sorted(_our_files(with_static=True))
    return _digest(part for name, path in files for part in (name.encode(), path.read_bytes()))


def _libraries(stage: Stage, architecture: str) -> Path:
    """Return a zip of the stage's libraries, compiled, made when its requirements have changed."""
    if stage == "media":
        _libraries("jobs", architecture)  # of which it has all, compiled once then
    digest = _libraries_digest(stage, architecture)
    path = CACHE / f"libraries-{digest}.zip"
    with _only_one("libraries-" + digest):
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                _install(_requirements(stage), architecture, Path(folder, "libraries"))
                draft = Path(folder, "libraries.zip")
                with zipfile.ZipFile(draft, "w") as archive:
                    _write(archive, _files(Path(folder, "libraries")), ours=False)
                draft.replace(path)
    return path


def _install(requirements: str, architecture: str, into: Path) -> None:
    """Install for Lambda's platform, whatever ours is; a clean folder, into which nothing else came."""
    listed = into.with_suffix(".txt")
    listed.write_text(requirements)
    command = [str(BASE_DIR / ".venv" / "bin" / "uv"), "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    # Hard links would let whoever writes here write into every other environment.
    command += ["--only-binary=:all:", "--link-mode=copy", "--python", sys.executable, "--python-version", RUNTIME]
    command += ["--python-platform", PLATFORMS[architecture], "--target", str(into), "--requirements", str(listed)]
    subprocess.run(command, check=True)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not _PRUNED.search(name):
            yield name, path


def _our_files(*, with_static: bool = False) -> Iterator[tuple[str, Path]]:
    """Yield our own files; with_static: those too that are packed in their collected form."""
    for folder in _OURS:
        for path in (BASE_DIR / folder).rglob("*"):
            name = path.relative_to(BASE_DIR).as_posix()
            is_static = with_static and "/static/" in name
            if path.is_file() and path.suffix != ".pyc" and (is_static or not _NOT_OURS.search(name)):
                yield name, path


def _write(archive: zipfile.ZipFile, files: Iterable[tuple[str, Path]], *, ours: bool = True) -> None:
    """Write the files, and each module compiled: ours beside its source, a library's in its place."""
    for name, path in sorted(files):
        content = path.read_bytes()
        if path.suffix != ".py":
            _write_bytes(archive, name, content)
        elif ours:
            _write_bytes(archive, name, content)
            _write_bytes(archive, importlib.util.cache_from_source(name), _compiled(content, name))
        else:
            _write_bytes(archive, f"{name}c", _compiled(content, name, documented=False))


@functools.cache  # most libraries are in two packages
def _compiled(source: bytes, name: str, *, documented: bool = True) -> bytes:
    """Return a module's .pyc file, with its documentation or with nothing in its place.

    Of ours it is read: titles of errors and the API's document are made of it. Libraries' asserts stay, unlike with
    Python's -OO: they are part of how they behave.
    """
    tree = ast.parse(source, name)
    if not documented:
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                match node.body:
                    case [ast.Expr(value=ast.Constant(value=str()) as documentation), *_]:
                        documentation.value = ""  # a text still, for what would format or split it
    code = compile(tree, name, "exec", dont_inherit=True, optimize=0)
    return importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source) + marshal.dumps(code)


def _write_static(archive: zipfile.ZipFile, stage: Stage) -> None:
    """Write the static files as `collectstatic` leaves them: named by their content, and compressed.

    All their names are in the manifest, whatever the stage: to ask for the address of a file that it lacks is no error.
    """
    served = _STATIC_SERVED.get(stage)
    for name, path in static_files():
        if name == _MANIFEST or (served and served.match(name)):
            _write_bytes(archive, f"static/{name}", path.read_bytes())


def static_files() -> Iterator[tuple[str, Path]]:
    """Yield the collected static files that pages use, by their names, in order."""
    folder = collected_static()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not _STATIC_PRUNED.search(name):
            yield name, path


def collected_static() -> Path:
    """Return the folder of the collected static files, collected anew when any of ours has changed."""
    folder = CACHE / f"static-{_our_digest()}"
    with _only_one(folder.name):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as draft:
                command = [sys.executable, str(BASE_DIR / "manage.py"), "collectstatic", "--no-input", "--verbosity=0"]
                environment = {**os.environ, "STATIC_ROOT": str(Path(draft, "static"))}
                subprocess.run(command, check=True, env=environment, cwd=BASE_DIR)
                Path(draft, "static").replace(folder)
    return folder


def _write_bytes(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o755 << 16  # readable whoever Lambda runs as
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _write_text(archive: zipfile.ZipFile, name: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(text)
        _write(archive, [(name, path)])


class _only_one:
    """Hold the making of one thing in the cache: deployments side by side make it once."""

    def __init__(self, name: str) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        self._path = CACHE / f"{name}.lock"

    def __enter__(self) -> None:
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()
