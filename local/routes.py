"""Makes the API's routes on ministack, which accepts SAM's OpenAPI document for an HTTP API but makes no routes of it.

The deployed template states each operation's function and scopes, and the authorizer. Existing routes are replaced, so
that this may run after every deployment.
"""

import re
from dataclasses import dataclass
from typing import Any

from local.aws import client
from local.ministack import REGION

HTTP_METHODS = {"get", "post", "put", "patch", "delete"}
AUTHORIZER = "Tokens"


@dataclass(frozen=True, slots=True)
class Stack:
    """What the intrinsic functions in the API's part of the template refer to."""

    name: str
    region: str
    parameters: dict[str, str]
    conditions: dict[str, Any]
    physical_ids: dict[str, str]

    def resolve(self, node: Any) -> Any:  # noqa: ANN401 - a template is any JSON
        match node:
            case {"Ref": name} | {"Fn::GetAtt": [name, "Arn"]}:  # ministack finds a function by its name, too
                return None if name == "AWS::NoValue" else self.named(name)
            case {"Fn::Sub": text}:
                return self.substituted(text)
            case {"Fn::If": [condition, when_true, when_false]}:
                return self.resolve(when_true if self.holds(self.conditions[condition]) else when_false)
            case dict():
                return {key: self.resolve(value) for key, value in node.items()}
            case list():
                return [self.resolve(value) for value in node]
            case _:
                return node

    def substituted(self, node: Any) -> str:  # noqa: ANN401
        text, own = (node, {}) if isinstance(node, str) else (node[0], self.resolve(node[1]))
        return re.sub(r"\$\{([^}.]+)(\.Arn)?\}", lambda found: own.get(found[1]) or self.named(found[1]), text)

    def named(self, name: str) -> str:
        pseudo = {"AWS::StackName": self.name, "AWS::Region": self.region, "AWS::Partition": "aws"}
        return pseudo.get(name) or self.physical_ids.get(name) or self.parameters[name]

    def holds(self, condition: Any) -> bool:  # noqa: ANN401
        match condition:
            case {"Fn::Equals": [{"Fn::Join": ["", {"Ref": name}]}, ""]}:
                return not self.named(name)  # a list that is empty
            case {"Fn::Equals": [left, right]}:
                return str(self.resolve(left)) == str(self.resolve(right))
            case {"Fn::Not": [other]}:
                return not self.holds(other)
            case {"Fn::And": all_of}:
                return all(self.holds(each) for each in all_of)
        raise NotImplementedError(f"condition {condition}")


def make_routes(endpoint_url: str, stack_name: str) -> int:
    """Make the authorizer and all routes of the stack's API. Returns how many routes."""
    cloudformation = client("cloudformation", endpoint_url)
    template = cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")["TemplateBody"]
    described = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    resources = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    stack = Stack(
        name=stack_name,
        region=REGION,
        parameters={each["ParameterKey"]: each["ParameterValue"] for each in described["Parameters"]},
        conditions=template["Conditions"],
        physical_ids={each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources},
    )
    document = stack.resolve(template["Resources"]["Api"]["Properties"]["Body"])
    gateway, api_id = client("apigatewayv2", endpoint_url), stack.physical_ids["Api"]
    allow_origins(gateway, api_id, document, stack.parameters["AllowedOrigins"])
    forget_routes(gateway, api_id)
    authorizer_id = make_authorizer(gateway, api_id, document)
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in (methods or {}).items()
        if method in HTTP_METHODS and operation
    ]
    for route_key, operation in operations:
        make_route(gateway, api_id, authorizer_id, route_key, operation)
    return len(operations)


def allow_origins(gateway: Any, api_id: str, document: dict[str, Any], origins: str) -> None:  # noqa: ANN401 - as below
    """Set CORS with the parameter's origins: ministack runs SAM's transform with the parameters' defaults."""
    described = document.get("x-amazon-apigateway-cors")
    if described is None:
        return
    configuration = {f"{name[0].upper()}{name[1:]}": value for name, value in described.items()}
    gateway.update_api(ApiId=api_id, CorsConfiguration=configuration | {"AllowOrigins": origins.split(",")})


def forget_routes(gateway: Any, api_id: str) -> None:  # noqa: ANN401 - boto3's clients are untyped here
    for route in gateway.get_routes(ApiId=api_id)["Items"]:
        gateway.delete_route(ApiId=api_id, RouteId=route["RouteId"])
    for integration in gateway.get_integrations(ApiId=api_id)["Items"]:
        gateway.delete_integration(ApiId=api_id, IntegrationId=integration["IntegrationId"])
    for authorizer in gateway.get_authorizers(ApiId=api_id)["Items"]:
        gateway.delete_authorizer(ApiId=api_id, AuthorizerId=authorizer["AuthorizerId"])


def make_authorizer(gateway: Any, api_id: str, document: dict[str, Any]) -> str:  # noqa: ANN401
    described = document["components"]["securitySchemes"][AUTHORIZER]["x-amazon-apigateway-authorizer"]
    made = gateway.create_authorizer(
        ApiId=api_id,
        Name=AUTHORIZER,
        AuthorizerType="JWT",
        IdentitySource=[described["identitySource"]],
        JwtConfiguration={
            "Issuer": described["jwtConfiguration"]["issuer"],
            "Audience": described["jwtConfiguration"]["audience"],
        },
    )
    return str(made["AuthorizerId"])


def make_route(gateway: Any, api_id: str, authorizer_id: str, route_key: str, operation: dict[str, Any]) -> None:  # noqa: ANN401
    described = operation["x-amazon-apigateway-integration"]
    integration = gateway.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationMethod="POST",
        IntegrationUri=described["uri"],
        PayloadFormatVersion=described["payloadFormatVersion"],
    )
    authorization = {"AuthorizationType": "NONE"}
    for security in operation.get("security", []):  # at most one; a route that needs no token has none
        authorization = {
            "AuthorizationType": "JWT",
            "AuthorizerId": authorizer_id,
            "AuthorizationScopes": security[AUTHORIZER],
        }
    gateway.create_route(
        ApiId=api_id, RouteKey=route_key, Target=f"integrations/{integration['IntegrationId']}", **authorization
    )
