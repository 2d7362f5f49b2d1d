"""Roles: who may what."""

import pytest

from tenants.permissions import Role, required_role, requires

OWNER, ADMIN, MEMBER, VIEWER = Role


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (OWNER, [OWNER, ADMIN, MEMBER, VIEWER]),
        (ADMIN, [ADMIN, MEMBER, VIEWER]),
        (MEMBER, [MEMBER, VIEWER]),
        (VIEWER, [VIEWER]),
    ],
)
def test_role_allows_what_it_and_the_lesser_may(role, allowed):
    assert [needed for needed in Role if role.allows(needed)] == allowed


@pytest.mark.parametrize(
    ("method", "role"),
    [
        ("GET", VIEWER),
        ("HEAD", VIEWER),
        ("OPTIONS", VIEWER),
        ("POST", MEMBER),
        ("PUT", MEMBER),
        ("PATCH", MEMBER),
        ("DELETE", MEMBER),
        ("PROPFIND", MEMBER),
    ],
)
def test_unmarked_view_needs_a_role_by_its_method(method, role):
    def view():
        """Answer."""

    assert required_role(view, method) == role


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_marked_view_needs_its_role(method):
    @requires(ADMIN)
    def view():
        """Answer."""

    assert required_role(view, method) == ADMIN
