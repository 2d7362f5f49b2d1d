"""What operators may change: households, people and who is in which household. In the open `operator()` block.

What concerns a household is written into its audit trail, which its owners read.
"""

import datetime as dt
from uuid import UUID

from django.db.models import F

from fatfire.kit import clock
from fatfire.kit.errors import DomainError, InvalidInput
from tenants import audit
from tenants.conflicts import conflict_means
from tenants.isolation import current_actor_id
from tenants.models import Membership, Tenant, User
from tenants.permissions import Role

_ONE_PER_EMAIL = "tenants_one_user_per_email"


class EmailTaken(DomainError):
    """Someone has this e-mail address."""

    code = "email_taken"


class AlreadyAMember(DomainError):
    """This person is in the household."""

    code = "already_a_member"


class LastOwner(DomainError):
    """A household keeps an owner: make someone else one first."""

    status, code = 409, "last_owner"


class OwnRight(DomainError):
    """You can't take the console from yourself: another operator can."""

    status, code = 409, "own_right"


def change_tenant(*, tenant_id: UUID, name: str, country: str, time_zone: str, at: dt.datetime) -> None:
    """Change what a household is called and where it is.

    Raises:
        Tenant.DoesNotExist: there is none.
        InvalidInput: the country is no code of two letters, or the time zone doesn't exist.
    """
    if not (len(country) == 2 and country.isascii() and country.isalpha() and country.isupper()):
        msg = "A country is a code of ISO 3166, such as AU."
        raise InvalidInput(msg, field="country")
    tenant = Tenant.objects.select_for_update(no_key=True).get(id=tenant_id)
    wanted = {"name": name, "country": country, "time_zone": clock.require_time_zone(time_zone)}
    changed = {key: value for key, value in wanted.items() if getattr(tenant, key) != value}
    if changed:
        Tenant.objects.filter(id=tenant_id).update(**changed)
        audit.record(action="change", subject="tenant", subject_id=tenant_id, at=at, tenant_id=tenant_id, **changed)


def create_user(*, email: str, name: str, at: dt.datetime) -> User:
    """Make a person, who can sign in once they are in a household or an operator.

    Raises:
        EmailTaken: someone has the address, whatever its case.
    """
    with conflict_means(_ONE_PER_EMAIL, EmailTaken):
        return User.objects.create(email=email, name=name, created_at=at)


def change_user(*, user_id: UUID, email: str, name: str, is_operator: bool) -> None:
    """Change a person. Who stops being an operator is out of the console with their next request.

    Raises:
        User.DoesNotExist: there is none.
        EmailTaken: someone else has the address.
        OwnRight: the current actor would take the console from themselves.
    """
    user = User.objects.select_for_update(no_key=True).get(id=user_id)
    if user_id == current_actor_id() and user.is_operator and not is_operator:
        raise OwnRight
    with conflict_means(_ONE_PER_EMAIL, EmailTaken):
        User.objects.filter(id=user_id).update(email=email, name=name, is_operator=is_operator)


def make_operator(*, email: str, at: dt.datetime) -> User:
    """Return the person of the address as an operator; made where there is none. Repeatable."""
    user, _ = User.objects.get_or_create(email__iexact=email, defaults={"email": email, "created_at": at})
    User.objects.filter(id=user.id).update(is_operator=True)
    return User.objects.get(id=user.id)


def end_sessions(*, user_id: UUID) -> None:
    """Sign the person out everywhere."""
    User.objects.filter(id=user_id).update(session_epoch=F("session_epoch") + 1)


def add_member(*, tenant_id: UUID, user_id: UUID, role: Role, at: dt.datetime) -> Membership:
    """Let a person into a household.

    Raises:
        AlreadyAMember: they are in it.
    """
    with conflict_means("tenants_membership_once", AlreadyAMember):
        membership = Membership.objects.create(tenant_id=tenant_id, user_id=user_id, role=role, created_at=at)
    audit.record(action="add", subject="member", subject_id=user_id, at=at, tenant_id=tenant_id, role=role.value)
    return membership


def change_role(*, membership_id: UUID, role: Role, at: dt.datetime) -> None:
    """Give a member another role.

    Raises:
        Membership.DoesNotExist: there is none.
        LastOwner: the household would be left without an owner.
    """
    found = Membership.objects.select_related("tenant").get(id=membership_id)
    # All of the household's, in one order: of two owners who are demoted at once, the second must see the first.
    members = Membership.objects.select_for_update(no_key=True).filter(tenant=found.tenant).order_by("id")
    roles = {member.id: member.role for member in members}
    if roles[membership_id] == role:
        return
    if [key for key, value in roles.items() if value == Role.OWNER] == [membership_id]:
        raise LastOwner
    Membership.objects.filter(id=membership_id).update(role=role)
    audit.record(
        action="change_role",
        subject="member",
        subject_id=found.user_id,
        at=at,
        tenant_id=found.tenant_id,
        role=role.value,
        before=roles[membership_id],
    )
