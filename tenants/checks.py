"""Django system checks: every model is isolated or listed as shared, no key crosses tenants, roles are distinct.

With --deploy also: the secrets are there. Only a process that serves needs them; one that migrates or packs doesn't.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import SystemCheckError
from django.db.models import ForeignKey, Model

from tenants.constraints import isolation_of, same_tenant_fields
from tenants.keys import read_master_key
from tenants.models import Tenant, TenantForeignKey, TenantModel


def check_models(app_configs: object = None, **_: Any) -> list[CheckMessage]:
    """Return an error for each model that could show or reach another tenant's rows."""
    # Tables that Django makes for a ManyToManyField included: they'd have no tenant. Declare the model between instead.
    return [error for model in apps.get_models(include_auto_created=True) for error in model_errors(model)]


def model_errors(model: type[Model]) -> Iterable[CheckMessage]:
    """Yield what is wrong with one model's isolation."""
    isolation = isolation_of(model)
    if model._meta.label in settings.SHARED_MODELS:
        if issubclass(model, TenantModel) or isolation:
            yield Error("The model is a tenant's and listed in SHARED_MODELS.", obj=model, id="tenants.E001")
    elif not issubclass(model, TenantModel) and model is not Tenant:
        yield Error(
            "The model is neither a TenantModel nor listed in SHARED_MODELS.",
            hint="Inherit from TenantModel, or list it in settings.SHARED_MODELS with the reason.",
            obj=model,
            id="tenants.E002",
        )
    elif isolation is None:
        yield Error(
            "The model has no TenantIsolation: its table would be open to every tenant.",
            hint="class Meta(TenantModel.Meta): constraints = [*TenantModel.Meta.constraints, ...]",
            obj=model,
            id="tenants.E003",
        )
    held = set(same_tenant_fields(model))
    for field in model._meta.get_fields():
        if not isinstance(field, ForeignKey) or not isinstance(field.related_model, type):
            continue  # no foreign key, or to a model that isn't there: Django's own checks say so
        if not issubclass(field.related_model, TenantModel):
            continue
        if not isinstance(field, TenantForeignKey) or field.name not in held:
            yield Error(
                f"The foreign key {field.name!r} could point across tenants.",
                hint=f"Make it a TenantForeignKey and add SameTenant({field.name!r}) to the constraints.",
                obj=model,
                id="tenants.E004",
            )


def check_roles(app_configs: object = None, **_: Any) -> list[CheckMessage]:
    """Return an error when two database URLs reach the same role: the policies would mean nothing."""
    return role_errors(settings.DATABASES)


def role_errors(databases: Mapping[str, Mapping[str, Any]]) -> list[CheckMessage]:
    """Return an error when two of Django's `databases` reach the same role."""
    users = [database["USER"] for database in databases.values()]
    if len(set(users)) == len(users):
        return []
    return [Error("Two database URLs use the same role.", hint="See manage.py bootstrap_roles.", id="tenants.E005")]


def check_secrets(app_configs: object = None, **_: Any) -> list[CheckMessage]:
    """Return an error for each secret that is missing or can't be one. With --deploy only."""
    errors: list[CheckMessage] = []
    try:
        str(settings.SECRET_KEY)  # Django refuses an empty one when it is asked for
    except ImproperlyConfigured:
        errors.append(Error("SECRET_KEY is empty.", hint="See docs/settings.md.", id="tenants.E006"))
    if settings.KMS_KEY_ID:
        return errors  # whether it may be used shows at its first use: a check calls nobody
    try:
        read_master_key(settings.MASTER_KEY_FILE)
    except (OSError, ValueError) as error:
        hint = "See KMS_KEY_ID and MASTER_KEY_FILE."
        errors.append(Error(f"There is no master key: {error}.", hint=hint, id="tenants.E007"))
    return errors


def require_secrets() -> None:
    """Do nothing, or stop a process that is about to serve: a server runs no checks of its own.

    Raises:
        SystemCheckError: a secret is missing; the message says which.
    """
    if errors := check_secrets():
        raise SystemCheckError("\n".join(map(str, errors)))
