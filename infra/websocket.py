"""The WebSocket API by which pages are told what changed; its events go to the function of the pages."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from infra.aws import Account, or_none
from infra.change import Change
from infra.system import ALIAS, Stage, System, function

STAGE = "live"
ROUTES = ("$connect", "$disconnect", "$default")
TELLERS: tuple[Stage, ...] = ("jobs", "media")
"""The stages whose functions tell pages something."""


def socket_id(account: Account, system: System) -> str | None:
    """Return the API's id, or None before it is made."""
    pages = account.client("apigatewayv2").get_paginator("get_apis").paginate()
    found = (each["ApiId"] for page in pages for each in page["Items"] if each["Name"] == system.name(STAGE))
    return next(found, None)


def connections_arn(account: Account, system: System) -> str:
    """Return the ARN of what is posted to the API's connections; before it is made, one that is nobody's."""
    api = socket_id(account, system) or "to-be-made"
    return system.arn("execute-api", f"{api}/{STAGE}/POST/@connections/*")


def addresses(account: Account, system: System, stage: Stage) -> dict[str, str]:
    """Return the settings of a stage's function that say where to listen, and where to tell."""
    api = socket_id(account, system)
    if api is None:
        return {}
    emulator = account.client("apigatewayv2").meta.endpoint_url
    host = f"https://{api}.execute-api.{system.region}.amazonaws.com"
    endpoint = f"{host if emulator.endswith('.amazonaws.com') else f'{emulator}/_aws/execute-api/{api}'}/{STAGE}"
    if stage == "web":
        return {"WEBSOCKET_URL": endpoint.replace("http", "ws", 1)}
    return {"WEBSOCKET_ENDPOINT": endpoint} if stage in TELLERS else {}


@dataclass(frozen=True)
class Socket:
    """The API itself, of which roles and functions must know the id: an administrator makes it."""

    account: Account
    system: System

    def changes(self) -> Iterator[Change]:
        """Yield its creation."""
        name = self.system.name(STAGE)
        if socket_id(self.account, self.system) is None:
            create = self.account.client("apigatewayv2").create_api
            wanted = {"ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}
            yield Change(f"socket {name}", "create", partial(create, Name=name, **wanted))


@dataclass(frozen=True)
class SocketRoutes:
    """What leads to the function: the leave to invoke it, an integration, a stage, a route for each event."""

    account: Account
    system: System

    def changes(self) -> Iterator[Change]:
        """Yield what is missing or leads elsewhere."""
        api = socket_id(self.account, self.system)
        if api is None:  # the foundation differs, which is said elsewhere
            return
        gateway, what = self.account.client("apigatewayv2"), f"socket {self.system.name(STAGE)}"
        if not self._may_invoke(api):
            yield Change(what, "may invoke web", partial(self._permit, api))
        if self._integration(api) is None:
            wanted = {"IntegrationType": "AWS_PROXY", "IntegrationMethod": "POST", "IntegrationUri": self._uri()}
            yield Change(what, "lead to web", partial(gateway.create_integration, ApiId=api, **wanted))
        target = f"integrations/{self._integration(api) or 'to-be-made'}"
        routes = {each["RouteKey"]: each for each in gateway.get_routes(ApiId=api)["Items"]}
        for key in ROUTES:
            if key not in routes:
                add = partial(gateway.create_route, ApiId=api, RouteKey=key, Target=target, AuthorizationType="NONE")
                yield Change(what, f"route {key}", add)
            elif routes[key].get("Target") != target:
                move = partial(gateway.update_route, ApiId=api, RouteId=routes[key]["RouteId"], Target=target)
                yield Change(what, f"route {key}", move)
        if or_none(gateway.get_stage, ApiId=api, StageName=STAGE) is None:
            yield Change(
                what, f"stage {STAGE}", partial(gateway.create_stage, ApiId=api, StageName=STAGE, AutoDeploy=True)
            )

    def _uri(self) -> str:
        invoke = f"arn:aws:apigateway:{self.system.region}:lambda:path/2015-03-31/functions"
        return f"{invoke}/{self.system.function_arn('web', ALIAS)}/invocations"

    def _integration(self, api: str) -> str | None:
        integrations: list[dict[str, Any]] = self.account.client("apigatewayv2").get_integrations(ApiId=api)["Items"]
        return next((each["IntegrationId"] for each in integrations if each.get("IntegrationUri") == self._uri()), None)

    def _may_invoke(self, api: str) -> bool:
        lambda_ = self.account.client("lambda")
        policy = or_none(lambda_.get_policy, FunctionName=function("web"), Qualifier=ALIAS)
        return policy is not None and self._sid(api) in policy["Policy"]

    def _permit(self, api: str) -> None:
        self.account.client("lambda").add_permission(
            FunctionName=function("web"),
            Qualifier=ALIAS,
            StatementId=self._sid(api),
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=self.system.arn("execute-api", f"{api}/*"),
        )

    @staticmethod
    def _sid(api: str) -> str:
        return f"{STAGE}-{api}"
