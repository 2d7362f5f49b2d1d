"""Reading tax years, in the open scope. Lists come as querysets in no order, to be paginated."""

from uuid import UUID

from django.db.models import QuerySet

from services.tax.models import TaxYear


def list_tax_years() -> QuerySet[TaxYear]:
    """Return the tenant's tax years."""
    return TaxYear.objects.all()


def get_tax_year(*, tax_year_id: UUID) -> TaxYear:
    """Return one tax year.

    Raises:
        TaxYear.DoesNotExist: not this tenant's.
    """
    return TaxYear.objects.get(id=tax_year_id)


def people() -> list[str]:
    """Return the names of those who have a tax year, in the order of the alphabet."""
    return list(TaxYear.objects.order_by("person_name").values_list("person_name", flat=True).distinct())
