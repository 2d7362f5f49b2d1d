"""From a new process to the first answer: the functions' handlers, from the packages that are deployed.

Baseline: a process that does what any Django site on Zappa must, `import zappa.handler` and `django.setup()` with our
settings, and answers nothing. Ours go on to their first answer: web to GET /livez through Zappa, jobs to an empty batch
from SQS with Celery's request and tracer ready. All run from the unpacked zip of the web or jobs stage, with its
compiled modules, and see boto3 (which on Lambda is the runtime's) but nothing else of this environment. The kinds take
turns; each ratio is the median over the rounds of ours to the baseline's: `…_ratio` of wall time, `…_cpu_ratio` of
processor time. Secrets are in the environment already: on Lambda reading them is one request to SSM more.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BASE_DIR))
os.environ["DJANGO_SETTINGS_MODULE"] = "fatfire.settings"
os.environ["SECRET_KEY"] = "only-for-this-benchmark"  # noqa: S105

from infra.packaging import package
from infra.system import System

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 15

BASELINE = """
import zappa.handler, django
django.setup()
print("ready")
"""
WEB = """
import json
from fatfire.entry import lambda_handler
request = {
    "version": "2.0", "rawPath": "/livez", "rawQueryString": "", "isBase64Encoded": False,
    "headers": {"host": "localhost", "x-forwarded-proto": "https", "x-forwarded-for": "127.0.0.1"},
    "requestContext": {"stage": "web", "http": {"method": "GET", "path": "/livez", "sourceIp": "127.0.0.1"}},
}
answer = lambda_handler(request, None)
print(answer["statusCode"], answer["body"])
"""
JOBS = """
from workers.lambda_handler import lambda_handler
print(lambda_handler({"Records": []}, None))
"""
KINDS = {  # kind: (whose package, program, what it must print)
    "baseline": ("web", BASELINE, "ready"),
    "web": ("web", WEB, "200 ok"),
    "jobs": ("jobs", JOBS, "{'batchItemFailures': []}"),
}


def runtime(folder: Path) -> None:
    """Put into the folder what Lambda's runtime has beside Python."""
    folder.mkdir()
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six"):
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        origin = Path(found.origin)
        origin = origin.parent if origin.name == "__init__.py" else origin
        (folder / origin.name).symlink_to(origin)


def run(folder: Path, program: str, wanted: str) -> tuple[float, float]:
    """Run the program in a fresh process; return its wall and processor time in seconds."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{folder}:{folder.parent / 'runtime'}",
        "DJANGO_SETTINGS_MODULE": "fatfire.settings",
        "SECRET_KEY": os.environ["SECRET_KEY"],
        "MASTER_KEY_FILE": str(folder.parent / "master.key"),
        "STATIC_ROOT": "static",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", program], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    said = process.stdout.read() if process.stdout else ""
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert (process.returncode, said.splitlines()[-1]) == (0, wanted), said
    return took, used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, and print."""
    system = System.load("production")
    with tempfile.TemporaryDirectory() as name:
        folders, sizes = {}, {}
        Path(name, "master.key").write_text("ab" * 32)
        runtime(Path(name, "runtime"))
        for stage in ("web", "jobs"):
            zipped = package(stage, system).zip()
            sizes[stage] = zipped.stat().st_size / 1e6
            folders[stage] = Path(name, stage)
            with zipfile.ZipFile(zipped) as archive:
                archive.extractall(folders[stage])
        times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
        for _ in range(ROUNDS + 1):
            for kind, (stage, program, wanted) in KINDS.items():
                times[kind].append(run(folders[stage], program, wanted))
    figures: dict[str, float] = {}
    for number, unit in enumerate(("", "_cpu")):
        taken = {kind: [each[number] for each in rows[1:]] for kind, rows in times.items()}  # the first warms the disk
        figures[f"baseline{unit}_ms"] = round(statistics.median(taken["baseline"]) * 1000)
        for kind in ("web", "jobs"):
            pairs = zip(taken[kind], taken["baseline"], strict=True)
            figures[f"{kind}{unit}_ms"] = round(statistics.median(taken[kind]) * 1000)
            figures[f"{kind}{unit}_ratio"] = round(statistics.median(ours / plain for ours, plain in pairs), 2)
    for stage, size in sizes.items():
        figures[f"{stage}_zip_mb"] = round(size, 1)
    for label, figure in figures.items():
        print(f"{label:<20}{figure:>8}")
    print(json.dumps({"rounds": ROUNDS, **figures}))


if __name__ == "__main__":
    main()
