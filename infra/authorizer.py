"""API Gateway asks the web function whose key it is before a request of the web API counts (workers/authorizer.py)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from infra.api import NoApi, api_id
from infra.aws import Account, or_none
from infra.change import Change, difference
from infra.system import ALIAS, System, function

NAME = "api-keys"
KEPT_S = 60
"""How long an answer counts for a key. It spares busy programs every second invocation and opens nothing: the
application reads key and membership afresh for each request, and a key that was refused never becomes good."""
BEHIND = "ANY /api/v1/{proxy+}"
PUBLIC = ("GET /api/v1/docs", "GET /api/v1/openapi.json")
"""The API's documentation, which anybody may read."""


@dataclass(frozen=True)
class Authorizer:
    """The authorizer, the leave to invoke it, and the routes with it and without. All else goes where Zappa leads it.

    What the routes don't match ("/api/v1/", a path in disguise) the application refuses itself: it has no authorizer's
    word (API_BEHIND_AUTHORIZER).
    """

    account: Account
    system: System

    def changes(self) -> Iterator[Change]:
        """Yield what is missing or differs."""
        gateway, what = self.account.client("apigatewayv2"), f"authorizer {NAME}"
        api = api_id(self.account, "web")
        if api is None:
            yield Change(what, "create", self._raise_no_api)
            return
        found = self._named(gateway.get_authorizers(ApiId=api)["Items"], "Name", NAME)
        if found is None:
            yield Change(what, "create", lambda: gateway.create_authorizer(ApiId=api, **self._wanted()))
        elif differing := difference(self._wanted(), found):
            change = lambda: gateway.update_authorizer(  # noqa: E731
                ApiId=api, AuthorizerId=found["AuthorizerId"], **self._wanted()
            )
            yield Change(what, differing, change)
        if not self._may_invoke(api):
            yield Change(what, "may invoke web", lambda: self._permit(api))
        found = self._named(gateway.get_authorizers(ApiId=api)["Items"], "Name", NAME)
        routes = gateway.get_routes(ApiId=api)["Items"]
        default = self._named(routes, "RouteKey", "$default")
        if default is None:
            yield Change(what, "lead to web", self._raise_no_api)
            return
        behind = {"AuthorizationType": "CUSTOM", "AuthorizerId": found["AuthorizerId"] if found else "to be made"}
        for key, who in {BEHIND: behind, **{key: {"AuthorizationType": "NONE"} for key in PUBLIC}}.items():
            wanted = {"Target": default["Target"], **who}
            route = self._named(routes, "RouteKey", key)
            if route is None:
                yield Change(f"route {key}", "create", partial(gateway.create_route, ApiId=api, RouteKey=key, **wanted))
            elif differing := difference(wanted, route):
                update = partial(gateway.update_route, ApiId=api, RouteId=route["RouteId"], **wanted)
                yield Change(f"route {key}", differing, update)

    def _wanted(self) -> dict[str, Any]:
        invoke = f"arn:aws:apigateway:{self.system.region}:lambda:path/2015-03-31/functions"
        return {
            "Name": NAME,
            "AuthorizerType": "REQUEST",
            "AuthorizerPayloadFormatVersion": "2.0",
            "EnableSimpleResponses": True,
            # The tenant is in it: an API key belongs to exactly one. Without the header API Gateway itself answers 401.
            "IdentitySource": ["$request.header.X-API-Key"],
            "AuthorizerResultTtlInSeconds": KEPT_S,
            "AuthorizerUri": f"{invoke}/{self.system.function_arn('web', ALIAS)}/invocations",
        }

    def _may_invoke(self, api: str) -> bool:
        policy = or_none(self.account.client("lambda").get_policy, FunctionName=function("web"), Qualifier=ALIAS)
        statements = json.loads(policy["Policy"])["Statement"] if policy else []
        return any(each["Sid"] == self._sid(api) for each in statements)

    def _permit(self, api: str) -> None:
        self.account.client("lambda").add_permission(
            FunctionName=function("web"),
            Qualifier=ALIAS,
            StatementId=self._sid(api),
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=self.system.arn("execute-api", f"{api}/authorizers/*"),
        )

    def _sid(self, api: str) -> str:
        return f"{NAME}-{api}"

    @staticmethod
    def _named(items: list[dict[str, Any]], key: str, name: str) -> dict[str, Any] | None:
        return next((each for each in items if each[key] == name), None)

    def _raise_no_api(self) -> None:
        msg = "web has no API yet"
        raise NoApi(msg)
