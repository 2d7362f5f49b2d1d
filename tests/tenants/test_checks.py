"""Django's system checks of the isolation: each finds the fault it is for, and nothing in a sound model."""

from typing import ClassVar

import pytest
from django.conf import settings
from django.core.management.base import SystemCheckError
from django.db import models
from django.test.utils import isolate_apps, override_settings

from fatfire.settings import DATABASES
from tenants import checks
from tenants.constraints import SameTenant, TenantIsolation
from tenants.models import TenantForeignKey, TenantModel


def ids_of(model: type[models.Model]) -> list[str]:
    return [error.id for error in checks.model_errors(model)]


def test_models_and_roles_of_the_product_are_sound():
    assert checks.check_models() == []
    assert checks.check_roles() == []


@isolate_apps("tenants")
def test_sound_model_passes():
    class Kennel(TenantModel):
        class Meta(TenantModel.Meta):
            app_label = "tenants"

    class Pet(TenantModel):
        kennel = TenantForeignKey(Kennel)
        mother = TenantForeignKey("self", null=True)

        class Meta(TenantModel.Meta):
            app_label = "tenants"
            constraints: ClassVar = [*TenantModel.Meta.constraints, SameTenant("kennel"), SameTenant("mother")]

    assert ids_of(Kennel) == []
    assert ids_of(Pet) == []


@isolate_apps("tenants")
def test_tenant_model_listed_as_shared_is_e001():
    class Pet(TenantModel):
        class Meta(TenantModel.Meta):
            app_label = "tenants"

    class Vet(models.Model):  # noqa: DJ008
        class Meta:
            app_label = "tenants"
            constraints: ClassVar = [TenantIsolation()]

    with override_settings(SHARED_MODELS={"tenants.Pet": ("SELECT", "?"), "tenants.Vet": ("SELECT", "?")}):
        assert ids_of(Pet) == ["tenants.E001"]
        assert ids_of(Vet) == ["tenants.E001"]


@isolate_apps("tenants")
def test_model_that_is_neither_is_e002():
    class Pet(models.Model):  # noqa: DJ008
        friends = models.ManyToManyField("self")

        class Meta:
            app_label = "tenants"

    assert ids_of(Pet) == ["tenants.E002"]
    assert ids_of(Pet.friends.through) == ["tenants.E002"]
    with override_settings(SHARED_MODELS={"tenants.Pet": ("SELECT", "everybody's")}):
        assert ids_of(Pet) == []


@isolate_apps("tenants")
def test_tables_that_django_makes_itself_are_looked_at():
    class Kennel(TenantModel):
        visitors = models.ManyToManyField("self")

        class Meta(TenantModel.Meta):
            app_label = "tenants"

    through = Kennel.visitors.through
    assert through._meta.auto_created
    assert "tenants.E002" in ids_of(through)


@isolate_apps("tenants")
def test_tenant_model_without_isolation_is_e003():
    class Pet(TenantModel):
        class Meta(TenantModel.Meta):
            app_label = "tenants"
            constraints: ClassVar = []

    assert ids_of(Pet) == ["tenants.E003"]


@isolate_apps("tenants")
def test_foreign_key_that_could_cross_tenants_is_e004():
    class Kennel(TenantModel):
        class Meta(TenantModel.Meta):
            app_label = "tenants"

    class Plain(TenantModel):
        kennel = models.ForeignKey(Kennel, on_delete=models.CASCADE)

        class Meta(TenantModel.Meta):
            app_label = "tenants"
            constraints: ClassVar = [*TenantModel.Meta.constraints, SameTenant("kennel")]

    class Unheld(TenantModel):
        kennel = TenantForeignKey(Kennel)

        class Meta(TenantModel.Meta):
            app_label = "tenants"

    class OneToOne(TenantModel):
        kennel = models.OneToOneField(Kennel, on_delete=models.CASCADE)

        class Meta(TenantModel.Meta):
            app_label = "tenants"

    class Breed(models.Model):  # noqa: DJ008
        first_seen_in = models.ForeignKey(Kennel, on_delete=models.CASCADE)

        class Meta:
            app_label = "tenants"

    with override_settings(SHARED_MODELS={"tenants.Breed": ("SELECT", "everybody's")}):
        for model in (Plain, Unheld, OneToOne, Breed):
            assert ids_of(model) == ["tenants.E004"], model


@isolate_apps("tenants")
def test_foreign_key_to_a_model_that_is_not_there_is_left_to_django():
    class Pet(TenantModel):
        vet = models.ForeignKey("tenants.Vet", on_delete=models.CASCADE)

        class Meta(TenantModel.Meta):
            app_label = "tenants"

    assert ids_of(Pet) == []
    assert [error.id for error in Pet.check()] == ["fields.E300", "fields.E300"]


def test_two_urls_of_one_role_are_e005():
    databases = {**DATABASES, "operator": {**DATABASES["operator"], "USER": DATABASES["default"]["USER"]}}

    assert [error.id for error in checks.role_errors(databases)] == ["tenants.E005"]


def test_secrets_of_the_tests_are_accepted():
    assert checks.check_secrets() == []
    checks.require_secrets()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        ("", "does not hold 32 bytes"),
        ("00" * 16, "does not hold 32 bytes"),  # AES-128: weaker, and accepted by the cipher
        ("00" * 33, "does not hold 32 bytes"),
        ("not hexadecimal", "non-hexadecimal"),
    ],
)
def test_missing_or_bad_master_key_is_e007(content, why, tmp_path):
    path = tmp_path / "master.key"
    if content is not None:
        path.write_text(content)

    with override_settings(MASTER_KEY_FILE=path):
        (error,) = checks.check_secrets()
        with pytest.raises(SystemCheckError, match=why):
            checks.require_secrets()
    assert error.id == "tenants.E007"
    assert why in error.msg


def test_missing_secret_key_is_e006():
    with override_settings(SECRET_KEY=""):
        assert [error.id for error in checks.check_secrets()] == ["tenants.E006"]
        with pytest.raises(SystemCheckError, match="SECRET_KEY is empty"):
            checks.require_secrets()
    assert settings.SECRET_KEY
