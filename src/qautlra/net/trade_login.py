"""Who a login on the trade socket is, for how long it stands, and which account it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qautlra.auth.rights import Principal, Right
from qautlra.base.errors import AuthError

if TYPE_CHECKING:
    from qautlra.auth.service import AuthService
    from qautlra.trade.service import TradeService
    from qautlra.wire import trade_requests as asks

TOKEN_CHARS_MIN = 100


class Standing(NamedTuple):
    """A login: who it is, and the user's generation it was made in."""

    principal: Principal
    generation: int

    def principal_now(self, auth: AuthService) -> Principal:
        """Return the principal with the rights of now; AuthError when the login has ended meanwhile.

        It ends as a token's does: the user is disabled, the password was changed, the session logged out.
        """
        user = auth.users.get(self.principal.user_id)
        if user is None or user.disabled or user.generation != self.generation:
            raise AuthError("the login has ended; log in again", zh="登录已失效，请重新登录")
        name = self.principal.session
        if name and auth.users.session(name) is None:
            raise AuthError("the login of this token has ended; log in again", zh="登录已失效，请重新登录")
        return user.principal(name)

    def renewed(self, auth: AuthService) -> Standing:
        """Return the login of the one who changed the password himself: it stands."""
        user = auth.users.find(self.principal.user_id)
        return Standing(user.principal(), user.generation)


async def standing_of(auth: AuthService, request: asks.Login, address: str) -> Standing:
    """Return who logs in: by password, or by an access token in its place; AuthError otherwise."""
    if request.password.count(".") == 2 and len(request.password) > TOKEN_CHARS_MIN:
        principal = auth.recognise(request.password)
        return Standing(principal, auth.users.find(principal.user_id).generation)
    user = await auth.sign_in(request.user_name, request.password, address)
    return Standing(user.principal(), user.generation)


def account_of(trade: TradeService, principal: Principal, request: asks.Login) -> str:
    """Return the account named like the login, else the only one the user owns with that broker."""
    name = request.user_name
    if trade.has(name) and trade.broker_of(name) == request.bid:
        principal.require(Right.VIEW, name)
        return name
    mine = [
        account
        for account in principal.accounts
        if trade.has(account) and trade.broker_of(account) == request.bid
    ]
    if len(mine) != 1 or name.lower() != principal.user_id.lower():  # a token speaks for its own user only
        raise AuthError(
            f"{name} has {len(mine) or 'no'} accounts with {request.bid}; log in with an account's name",
            status=403,
            zh="没有该交易账户",
        )
    principal.require(Right.VIEW, mine[0])
    return mine[0]
