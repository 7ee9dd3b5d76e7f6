"""A stack's metrics reach CloudWatch at every log level, apart from those of any other stack."""

import json
import os
import subprocess
import sys

import pytest

from shared.http.problems import STATUS
from tests.template.test_stack import functions_of
from tests.template.transform import TEMPLATE, of_type, transform

LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"]
NUMBERS = {"DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40}
NAMESPACE = {"Fn::Sub": "ConnectsLedger/${AWS::StackName}"}
SCRIPT = """
from shared.aws.observability import count_refusal, count_run, flush_metrics, logger
logger.debug("a detail")
logger.info("good news")
logger.warning("a warning")
logger.error("an error")
count_refusal("busy")
flush_metrics()
"""


def settings_of(level):
    """What a function is given at this `LogLevel`, as it is written in the template."""
    function = functions_of(transform(LogLevel=level))["SpendFunction"]
    variable = function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"]
    assert variable == {"Ref": "LogLevel"}
    return function["LoggingConfig"]["ApplicationLogLevel"]


def lines_of(level):
    """The lines of a function's standard output that Lambda passes on.

    "If the level value field is invalid or missing, Lambda will assign the log output the level INFO", says
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html.
    """
    given = settings_of(level)
    environment = {
        "AWS_LAMBDA_LOG_LEVEL": given,
        "POWERTOOLS_LOG_LEVEL": level,
        "POWERTOOLS_SERVICE_NAME": "Spend",
        "POWERTOOLS_METRICS_NAMESPACE": "ConnectsLedger/one",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POWERTOOLS_"))}
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", SCRIPT],
        cwd=TEMPLATE.parent,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return [line for line in lines if NUMBERS[line.get("level", "INFO")] >= NUMBERS[given]]


@pytest.mark.parametrize("level", LEVELS)
def test_the_log_level_silences_lines_of_the_log_and_never_a_metric(level):
    lines = lines_of(level)
    metrics = [line for line in lines if "_aws" in line]
    logged = [line["message"] for line in lines if "_aws" not in line]
    assert [line["Refusals"] for line in metrics] == [[1]]
    assert logged == ["a detail", "good news", "a warning", "an error"][LEVELS.index(level) :]


def test_a_level_of_the_template_is_each_of_those(written):
    assert written["Parameters"]["LogLevel"]["AllowedValues"] == LEVELS


def test_refusals_are_counted_by_function_and_by_code():
    (line,) = [line for line in lines_of("INFO") if "_aws" in line]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "ConnectsLedger/one"
    assert directive["Dimensions"] == [["service"], ["code"]]
    assert (line["service"], line["code"]) == ("Spend", "busy")


def test_two_stacks_of_an_account_tell_their_metrics_apart(stack):
    for function in functions_of(stack).values():
        assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE
    ours = [alarm for alarm in alarms_of(stack) if "ConnectsLedger" in str(alarm["Namespace"])]
    assert ours
    assert all(alarm["Namespace"] == NAMESPACE for alarm in ours)
    for each in of_type(stack, "AWS::Logs::MetricFilter").values():
        namespaces = {counted["MetricNamespace"]["Fn::Sub"] for counted in each["MetricTransformations"]}
        assert namespaces == {NAMESPACE["Fn::Sub"]}


def alarms_of(stack):
    return of_type(stack, "AWS::CloudWatch::Alarm").values()


def test_an_alarm_on_refusals_is_on_what_nobody_foresaw_alone(stack):
    """Not on `busy`, which is a server error to a caller and no fault, nor on what a caller did wrong."""
    codes = {
        dimension["Value"]
        for alarm in alarms_of(stack)
        if alarm["MetricName"] == "Refusals"
        for dimension in alarm["Dimensions"]
    }
    assert codes == {code for code, status in STATUS.items() if status >= 500} - {"busy"}


def test_money_that_does_not_match_a_purchase_raises_an_alarm_whichever_function_finds_it(stack):
    watched = {
        (alarm["MetricName"], alarm["Dimensions"][0]["Value"])
        for alarm in alarms_of(stack)
        if alarm["MetricName"] in {"PurchasesUnderReview", "ChargeWithoutPurchase"}
    }
    apps = TEMPLATE.parent.glob("functions/*/app.py")
    finders = {app.parent.name.title().replace("_", "") for app in apps if "count_review" in app.read_text()}
    assert finders == {"Purchase", "PaymentEvents", "PurchaseReconcile"}
    assert watched == {
        ("ChargeWithoutPurchase", "PaymentEvents"),
        *(("PurchasesUnderReview", each) for each in finders),
    }


def test_server_errors_that_are_no_functions_answer_raise_an_alarm(stack):
    """`busy` is an answer: the gateway then writes "-" for the integration's error."""
    (counted,) = of_type(stack, "AWS::Logs::MetricFilter").values()
    assert counted["LogGroupName"] == {"Ref": "ApiLogs"}
    assert counted["FilterPattern"] == '{ ($.status = "5*") && ($.integration_error != "-") }'
    written = stack["Resources"]["ApiApiGatewayDefaultStage"]["Properties"]["AccessLogSettings"]["Format"]
    assert {"status", "integration_error"} <= set(json.loads(written))
    alarm = of_type(stack, "AWS::CloudWatch::Alarm")["ApiServerErrorsAlarm"]
    assert alarm["MetricName"] == counted["MetricTransformations"][0]["MetricName"]
    assert "Dimensions" not in alarm
