"""Roles, rights, and rights on accounts."""

import pytest

from qautlra.auth.rights import (
    ACCOUNT_RIGHTS,
    Access,
    Principal,
    Right,
    Role,
    rights_of,
    role_names,
    role_of,
    roles_of,
)
from qautlra.base.errors import AuthError, InputError


def test_role_numbers_are_the_contract_s() -> None:
    assert [int(role) for role in Role][:6] == [1, 2, 4, 8, 16, 128]


@pytest.mark.parametrize("text", ["RiskManager", "risk_manager", "RISK-MANAGER", " riskmanager "])
def test_names_of_roles_in_any_spelling(text: str) -> None:
    assert role_of(text) is Role.RISK_MANAGER


def test_unknown_role() -> None:
    with pytest.raises(InputError, match="no role 'root'"):
        roles_of(["trader", "root"])
    assert role_names(roles_of(["trader", "admin"])) == ["trader", "admin"]


def test_nobody_but_an_admin_holds_everything() -> None:
    assert rights_of(Role.ADMIN) == frozenset(Right)
    for role in Role:
        if role is not Role.ADMIN:
            assert Right.MANAGE_USERS not in rights_of(role), role
            assert Right.VIEW_AUDIT not in rights_of(role), role
    assert Right.TRADE not in rights_of(Role.READ_ONLY | Role.ANALYST | Role.SETTLEMENT | Role.RISK_MANAGER)


@pytest.mark.parametrize(
    ("roles", "account", "held"),
    [
        (Role.TRADER, "own", ACCOUNT_RIGHTS),
        (Role.TRADER, "seen", {Right.VIEW}),
        (Role.TRADER, "other", set()),
        (Role.READ_ONLY, "own", {Right.VIEW}),
        (Role.READ_ONLY, "other", set()),
        (Role.ANALYST, "seen", {Right.VIEW}),
        (Role.RISK_MANAGER, "other", {Right.VIEW, Right.CANCEL}),
        (Role.SETTLEMENT, "other", {Right.VIEW}),
        (Role.ADMIN, "other", ACCOUNT_RIGHTS),
        (Role.DATA, "own", set()),
        (Role(0), "own", set()),
    ],
)
def test_rights_on_accounts(roles: Role, account: str, held: set[Right]) -> None:
    who = Principal("u", roles, {"own": Access.OWN, "seen": Access.VIEW})
    assert {right for right in ACCOUNT_RIGHTS if who.may(right, account)} == set(held)
    for right in ACCOUNT_RIGHTS - set(held):
        with pytest.raises(AuthError) as refused:
            who.require(right, account)
        assert refused.value.status == 403
