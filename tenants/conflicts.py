"""What a violated constraint means: the database refuses, the operation says why."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from psycopg import errors

from fatfire.kit.errors import DomainError
from tenants.isolation import current_alias


@contextmanager
def conflict_means(constraint: str, error: type[DomainError]) -> Iterator[None]:
    """Run the block in a savepoint of the open scope; a row that the unique `constraint` refuses raises `error`.

    Only the savepoint is rolled back. Any other violation is raised as it is.
    """
    try:
        with transaction.atomic(using=current_alias()):
            yield
    except IntegrityError as refused:
        cause = refused.__cause__
        if isinstance(cause, errors.UniqueViolation) and cause.diag.constraint_name == constraint:
            raise error from refused
        raise
