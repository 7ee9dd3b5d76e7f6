"""The canary of spend, purchase and accounts: all of it with a CanaryRelease, nothing of it without."""

import json
from pathlib import Path

import cfnlint
import pytest

from tests.template.transform import of_type, source, transform

CANARIES = ("Accounts", "Purchase", "Spend")
KINDS = (
    "AWS::Lambda::Version",
    "AWS::Lambda::Alias",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
)


@pytest.fixture(scope="module")
def without():
    return transform()


@pytest.fixture(scope="module")
def with_canary():
    return transform(CanaryRelease="1.2.0")


def called(stack):
    """What the API calls for each route: the logical name of a function or of an alias."""
    paths = stack["Resources"]["Api"]["Properties"]["Body"]["paths"]
    return {
        f"{method.upper()} {path}": target(call["x-amazon-apigateway-integration"]["uri"])
        for path, calls in paths.items()
        for method, call in calls.items()
        if "x-amazon-apigateway-integration" in call
    }


def target(uri):
    match uri:
        case {"Fn::Sub": [str(), {"Function": {"Ref": alias}}]}:
            return alias
        case {"Fn::Sub": [str(), {"Function": {"Fn::GetAtt": [function, "Arn"]}}]}:
            return function
        case {"Fn::Sub": str(text)}:
            return text.rsplit("${", 1)[1].removesuffix(".Arn}/invocations")
    raise NotImplementedError(uri)


def routes_of(function):
    events = source()["Resources"][f"{function}Function"]["Properties"]["Events"].values()
    return {f"{each['Properties']['Method']} {each['Properties']['Path']}" for each in events}


def test_without_a_release_each_call_goes_to_its_function(without):
    assert all(name.endswith("Function") for name in called(without).values())


def test_without_a_release_there_is_no_alias_and_no_snapshot(without):
    assert not any(of_type(without, kind) for kind in KINDS)
    functions = of_type(without, "AWS::Lambda::Function").values()
    assert {each["SnapStart"]["ApplyOn"] for each in functions if "SnapStart" in each} == {"None"}


def test_with_a_release_all_calls_of_the_three_functions_and_no_others_go_through_their_alias(without, with_canary):
    changed = {route: name for route, name in called(with_canary).items() if name != called(without)[route]}
    assert changed == {route: f"{name}Alias" for name in CANARIES for route in routes_of(name)}


@pytest.mark.parametrize("name", CANARIES)
def test_the_api_may_call_the_alias(with_canary, name):
    permission = with_canary["Resources"][f"{name}AliasPermission"]["Properties"]
    assert permission["FunctionName"] == {"Ref": f"{name}Alias"}
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert "${Api}/*" in permission["SourceArn"]["Fn::Sub"]


@pytest.mark.parametrize("name", CANARIES)
def test_an_alias_moves_a_tenth_first_and_back_where_an_alarm_of_the_stack_rings(with_canary, name):
    resources = with_canary["Resources"]
    moved = resources[f"{name}Alias"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert moved["DeploymentGroupName"] == {"Ref": f"{name}Canary"}
    group = resources[f"{name}Canary"]["Properties"]
    assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    alarms = [each["Name"]["Ref"] for each in group["AlarmConfiguration"]["Alarms"]]
    assert alarms[0] == f"{name}ErrorsAlarm"
    assert {resources[alarm]["Type"] for alarm in alarms} == {"AWS::CloudWatch::Alarm"}


@pytest.mark.parametrize("name", CANARIES)
def test_a_snapshot_is_made_of_what_the_alias_calls(with_canary, name):
    function = with_canary["Resources"][f"{name}Function"]["Properties"]
    assert function["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert with_canary["Resources"][f"{name}Alias"]["Properties"]["FunctionVersion"] == {
        "Fn::GetAtt": [f"{name}Version", "Version"]
    }


def test_another_release_is_another_version_of_each():
    """CloudFormation replaces a version whose description changes: new numbers reach the callers, as new code does."""
    schemas = (Path(cfnlint.__file__).parent / "data/schemas/resources").glob("*.json")
    version = next(
        schema for each in schemas if (schema := json.loads(each.read_text())).get("typeName") == "AWS::Lambda::Version"
    )
    assert "/properties/Description" in version["createOnlyProperties"]
    for release in ("1.2.0", "1.2.1"):
        versions = of_type(transform(CanaryRelease=release), "AWS::Lambda::Version")
        assert sorted(versions) == [f"{name}Version" for name in CANARIES]
        assert all(each["Description"] == {"Ref": "CanaryRelease"} for each in versions.values())
