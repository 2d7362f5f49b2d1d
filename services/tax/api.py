"""Tax years over HTTP."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from fatfire.kit.clock import now
from fatfire.kit.pagination import paginate
from fatfire.kit.schemas import PageOf, PageQuery
from services.tax import operations, queries
from services.tax.schemas import TaxYearIn, TaxYearOut

router = Router(tags=["Tax"])

_NEWEST_FIRST = ("-starts_in", "-id")


@router.get("/tax-years", response=PageOf[TaxYearOut])
def list_tax_years(request: HttpRequest, page: Query[PageQuery]) -> PageOf[TaxYearOut]:
    """List tax years of everyone in the household, newest first."""
    found = paginate(queries.list_tax_years(), order=_NEWEST_FIRST, cursor=page.cursor, limit=page.limit)
    return PageOf(items=[TaxYearOut.of(each) for each in found.items], next_cursor=found.next_cursor)


@router.post("/tax-years", response={201: TaxYearOut})
def create_tax_year(request: HttpRequest, body: TaxYearIn) -> Status[TaxYearOut]:
    """Record a person's tax year."""
    return Status(201, TaxYearOut.of(operations.create_tax_year(facts=body.facts(), at=now())))


@router.get("/tax-years/{tax_year_id}", response=TaxYearOut)
def get_tax_year(request: HttpRequest, tax_year_id: UUID) -> TaxYearOut:
    """Show a tax year."""
    return TaxYearOut.of(queries.get_tax_year(tax_year_id=tax_year_id))


@router.put("/tax-years/{tax_year_id}", response=TaxYearOut)
def update_tax_year(request: HttpRequest, tax_year_id: UUID, body: TaxYearIn) -> TaxYearOut:
    """Replace all that is said of a tax year; it may be repeated."""
    return TaxYearOut.of(operations.update_tax_year(tax_year_id=tax_year_id, facts=body.facts(), at=now()))


@router.delete("/tax-years/{tax_year_id}", response={204: None})
def delete_tax_year(request: HttpRequest, tax_year_id: UUID) -> Status[None]:
    """Remove a tax year."""
    operations.delete_tax_year(tax_year_id=tax_year_id, at=now())
    return Status(204, None)
