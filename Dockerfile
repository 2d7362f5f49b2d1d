# A worker for queues that don't suit Lambda (docs/jobs.md): the same code and messages, consumed by Celery's own program.
#   docker build -t fatfire-worker .
#   docker run --env-file worker.env fatfire-worker -Q bank_sync --concurrency 4
FROM python:3.13-slim

# base, or media for a queue that works on video
ARG REQUIREMENTS=base

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 DJANGO_SETTINGS_MODULE=fatfire.settings
WORKDIR /srv/fatfire

COPY requirements/${REQUIREMENTS}.txt requirements.txt
RUN pip install --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r requirements.txt \
    && useradd --system --no-create-home --shell /usr/sbin/nologin worker
COPY manage.py ./
COPY fatfire fatfire/
COPY tenants tenants/
COPY services services/
COPY workers workers/

USER worker
# SIGTERM lets running jobs end; what is killed after it is taken up again when its lease has run out.
ENTRYPOINT ["celery", "--app", "fatfire.celery", "worker", "--loglevel", "WARNING"]
