"""Django system checks: every model is isolated or listed as shared, no foreign key crosses tenants, roles are distinct."""

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db.models import ForeignKey, Model

from tenants.constraints import isolation_of, same_tenant_fields
from tenants.models import Tenant, TenantForeignKey, TenantModel


def check_models(app_configs: object = None, **_: Any) -> list[CheckMessage]:
    """Return an error for each model that could show or reach another tenant's rows."""
    return [error for model in apps.get_models() for error in model_errors(model)]


def model_errors(model: type[Model]) -> Iterable[CheckMessage]:
    """Yield what is wrong with one model's isolation."""
    isolation = isolation_of(model)
    if model._meta.label in settings.SHARED_MODELS:
        if issubclass(model, TenantModel) or isolation:
            yield Error("The model is a tenant's and listed in SHARED_MODELS.", obj=model, id="tenants.E001")
        return
    if not issubclass(model, TenantModel) and model is not Tenant:
        yield Error(
            "The model is neither a TenantModel nor listed in SHARED_MODELS.",
            hint="Inherit from TenantModel, or list it in settings.SHARED_MODELS with the reason.",
            obj=model,
            id="tenants.E002",
        )
        return
    if isolation is None:
        yield Error(
            "The model has no TenantIsolation: its table would be open to every tenant.",
            hint="class Meta(TenantModel.Meta): constraints = [*TenantModel.Meta.constraints, ...]",
            obj=model,
            id="tenants.E003",
        )
    held = set(same_tenant_fields(model))
    for field in model._meta.get_fields():
        if not isinstance(field, ForeignKey) or not issubclass(field.related_model, TenantModel):
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
    users = [database["USER"] for database in settings.DATABASES.values()]
    if len(set(users)) == len(users):
        return []
    return [Error("Two database URLs use the same role.", hint="See manage.py bootstrap_roles.", id="tenants.E005")]
