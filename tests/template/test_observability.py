"""What is told of a stack reaches CloudWatch whatever its log level, and never mixes with another stack's."""

import json
import os
import subprocess
import sys

import pytest

from shared.edge.problems import STATUS
from tests.template.test_stack import functions_of
from tests.template.transform import TEMPLATE, of_type, transform

LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"]
NUMBERS = {"DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40}
NAMESPACE = {"Fn::Sub": "ConnectsLedger/${AWS::StackName}"}
SCRIPT = """
from shared.edge.observability import count_refusal, count_run, flush_metrics, logger
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
    """What Lambda sends on of a function's standard output.

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
    ours = [metric for metric in watched(stack) if "ConnectsLedger" in str(metric["Namespace"])]
    assert ours
    assert all(metric["Namespace"] == NAMESPACE for metric in ours)


def watched(stack):
    """The metrics that alarms look at, those within an expression too."""
    for alarm in of_type(stack, "AWS::CloudWatch::Alarm").values():
        if "Metrics" in alarm:
            yield from (each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each)
        else:
            yield alarm


def test_an_alarm_on_refusals_is_on_server_errors_alone(stack):
    codes = {
        dimension["Value"]
        for metric in watched(stack)
        if metric["MetricName"] == "Refusals"
        for dimension in metric["Dimensions"]
    }
    assert codes == {code for code, status in STATUS.items() if status >= 500}


def test_server_errors_raise_an_alarm_but_for_busy(stack):
    alarm = of_type(stack, "AWS::CloudWatch::Alarm")["ApiServerErrorsAlarm"]
    by_id = {each["Id"]: each for each in alarm["Metrics"]}
    assert by_id["faults"]["Expression"] == "errors - FILL(busy, 0)"
    assert by_id["errors"]["MetricStat"]["Metric"]["MetricName"] == "5xx"
    assert by_id["busy"]["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "code", "Value": "busy"}]
    assert [name for name, each in by_id.items() if each["ReturnData"]] == ["faults"]
    assert len({each["MetricStat"]["Period"] for each in by_id.values() if "MetricStat" in each}) == 1
