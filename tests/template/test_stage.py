"""A stack stays what it was made as, on an engine that refuses what CloudFormation refuses."""

import json

import pytest
from botocore.exceptions import ClientError, WaiterError

from local.aws import client
from local.engines import ministack
from tests.template.transform import source

PROTECTED = {"StageMark", "Table"}


@pytest.fixture(scope="module")
def aws():
    with ministack() as endpoint:
        yield lambda service: client(service, endpoint)


def template():
    """A template with the resources that such an update must not reach."""
    written = source()
    return json.dumps(
        {
            "Transform": "AWS::LanguageExtensions",
            "Parameters": {"Stage": written["Parameters"]["Stage"]},
            "Conditions": {"IsSandbox": written["Conditions"]["IsSandbox"]},
            "Resources": {name: each for name, each in written["Resources"].items() if name in PROTECTED},
            "Outputs": {"Table": {"Value": {"Ref": "Table"}}},
        }
    )


def deployed_as(cloudformation, name, stage, how):
    done = cloudformation.get_waiter(f"stack_{how}_complete")
    getattr(cloudformation, f"{how}_stack")(
        StackName=name,
        TemplateBody=template(),
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": stage}],
        Capabilities=["CAPABILITY_AUTO_EXPAND"],
    )
    done.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def stack_of(cloudformation, name):
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return stack


@pytest.mark.parametrize(
    ("was", "becomes"), [("production", "sandbox"), ("staging", "sandbox"), ("sandbox", "production")]
)
def test_an_update_that_would_turn_a_stack_into_another_stage_is_refused_and_takes_no_protection_off(aws, was, becomes):
    cloudformation, dynamodb, name = aws("cloudformation"), aws("dynamodb"), f"stage-{was}"
    deployed_as(cloudformation, name, was, "create")
    (output,) = stack_of(cloudformation, name)["Outputs"]
    before = dynamodb.describe_table(TableName=output["OutputValue"])["Table"]["DeletionProtectionEnabled"]
    assert before is (was != "sandbox")
    with pytest.raises(WaiterError):
        deployed_as(cloudformation, name, becomes, "update")
    assert stack_of(cloudformation, name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    after = dynamodb.describe_table(TableName=output["OutputValue"])["Table"]["DeletionProtectionEnabled"]
    assert after is before
    told = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    assert [each for each in told if "custom-named" in each.get("ResourceStatusReason", "")]


def test_staging_becomes_production(aws):
    cloudformation = aws("cloudformation")
    deployed_as(cloudformation, "promoted", "staging", "create")
    try:
        deployed_as(cloudformation, "promoted", "production", "update")
    except ClientError as error:  # the tables are the same: as on AWS, nothing is to be done
        assert "No updates" in str(error)  # noqa: PT017
    assert stack_of(cloudformation, "promoted")["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
