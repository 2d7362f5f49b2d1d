"""Where people reach the pages: a host of our own at the root of each API that Zappa made."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.aws import Account, or_none
from infra.change import Change
from infra.system import Stage, System, function


class NoApi(Exception):
    """The stage isn't deployed: Zappa made no API yet."""


def api_id(account: Account, stage: Stage) -> str | None:
    """Return the id of the stage's API, or None before Zappa has made it."""
    describe = account.client("cloudformation").describe_stack_resource
    found = or_none(describe, StackName=function(stage), LogicalResourceId="ApiV2")
    return str(found["StackResourceDetail"]["PhysicalResourceId"]) if found else None


@dataclass(frozen=True)
class Domain:
    """A stage's host: its name, and the mapping of the root of that name to the API."""

    account: Account
    system: System
    stage: Stage

    def changes(self) -> Iterator[Change]:
        """Yield the name, the mapping, and that the API answers to nothing but the name."""
        gateway, host = self.account.client("apigatewayv2"), self.system.host(self.stage)
        domain = self.domain()
        if domain is None:
            create = lambda: gateway.create_domain_name(  # noqa: E731
                DomainName=host, DomainNameConfigurations=[self._configuration()]
            )
            yield Change(f"domain {host}", "create", create)
        api = api_id(self.account, self.stage)
        if api is None:
            yield Change(f"domain {host}", f"lead to {self.stage}", self._raise_no_api)
            return
        if not gateway.get_api(ApiId=api).get("DisableExecuteApiEndpoint"):
            close = lambda: gateway.update_api(ApiId=api, DisableExecuteApiEndpoint=True)  # noqa: E731
            yield Change(f"domain {host}", "is the only way to the API", close)
        mapping = next(iter(self._mappings()), None)
        wanted = {"ApiId": api, "Stage": self.stage}
        if mapping is None:
            add = lambda: gateway.create_api_mapping(DomainName=host, **wanted)  # noqa: E731
            yield Change(f"domain {host}", f"lead to {self.stage}", add)
        elif {**mapping, **wanted} != mapping:
            move = lambda: gateway.update_api_mapping(  # noqa: E731
                DomainName=host, ApiMappingId=mapping["ApiMappingId"], **wanted
            )
            yield Change(f"domain {host}", f"lead to {self.stage}", move)

    def domain(self) -> dict[str, Any] | None:
        """Return what API Gateway says of the name, with where its DNS entry must point; None: it has none."""
        return or_none(self.account.client("apigatewayv2").get_domain_name, DomainName=self.system.host(self.stage))

    def _mappings(self) -> list[dict[str, Any]]:
        if self.domain() is None:
            return []
        answer = self.account.client("apigatewayv2").get_api_mappings(DomainName=self.system.host(self.stage))
        mappings: list[dict[str, Any]] = answer["Items"]
        return [each for each in mappings if not each.get("ApiMappingKey")]

    def _configuration(self) -> dict[str, str]:
        configuration = {"EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"}
        if self.system.certificate:
            configuration["CertificateArn"] = self.system.certificate
        return configuration

    def _raise_no_api(self) -> None:
        msg = f"{self.stage} has no API"
        raise NoApi(msg)
