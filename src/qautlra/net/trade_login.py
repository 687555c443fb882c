"""Who a login on the trade socket is, and which account it means."""

from __future__ import annotations

from qautlra.auth.rights import Principal, Right
from qautlra.auth.service import AuthService
from qautlra.base.errors import AuthError
from qautlra.trade.service import TradeService
from qautlra.wire import trade_requests as asks

TOKEN_CHARS_MIN = 100


async def principal_of(auth: AuthService, request: asks.Login, address: str) -> Principal:
    """Return who logs in: by password, or by an access token in its place; AuthError otherwise."""
    if request.password.count(".") == 2 and len(request.password) > TOKEN_CHARS_MIN:
        return auth.recognise(request.password)
    user = await auth.sign_in(request.user_name, request.password, address)
    return user.principal()


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
    if len(mine) != 1:
        raise AuthError(
            f"{name} has {len(mine) or 'no'} accounts with {request.bid}; log in with an account's name",
            status=403,
            zh="没有该交易账户",
        )
    return mine[0]
