"""What every deployment of the template guarantees: no failure goes unnoticed, and nothing grows without bound."""

import inspect
import json
import re
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_30_VALIDATOR

import functions
import shared
from local.deploy import STACK_NAME
from shared.config import Settings
from shared.services.marketplace_events import HANDLERS
from tests.document import resolved
from tests.parameters import variable
from tests.template.transform import TEMPLATE, Json, of_type, transform, walk

SERVICE = ["connects/service", "connects/staff"]
STAFF = ["connects/staff"]
ANY_TOKEN: list[str] = []
SIGNED = None
"""No token, as the payment provider has none: the function checks who signed it."""
OPENAPI = Path(functions.__path__[0]) / "openapi.json"
ROUTES = {
    "POST /accounts": SERVICE,
    "GET /accounts/{account_id}": ANY_TOKEN,
    "PATCH /accounts/{account_id}": SERVICE,
    "PUT /accounts/{account_id}/billing-method": SERVICE,
    "GET /accounts/{account_id}/history": ANY_TOKEN,
    "GET /accounts/{account_id}/audit": STAFF,
    "POST /accounts/{account_id}/purchases": ANY_TOKEN,
    "GET /accounts/{account_id}/purchases": ANY_TOKEN,
    "GET /accounts/{account_id}/purchases/{purchase_id}": ANY_TOKEN,
    "POST /accounts/{account_id}/purchases/{purchase_id}/check": STAFF,
    "POST /payments/webhook": SIGNED,
    "POST /accounts/{account_id}/spends": SERVICE,
    "POST /accounts/{account_id}/boosts": SERVICE,
    "POST /accounts/{account_id}/spends/{spend_id}/refund": SERVICE,
    "POST /accounts/{account_id}/rewards": SERVICE,
    "POST /accounts/{account_id}/adjustments": STAFF,
    "POST /accounts/{account_id}/promo-redemptions": ANY_TOKEN,
    "PUT /promos/{code}": STAFF,
    "PUT /accounts/{account_id}/badge": ANY_TOKEN,
    "PUT /jobs/{job_id}": SERVICE,
    "GET /jobs/{job_id}": ANY_TOKEN,
    "POST /jobs/{job_id}/events": SERVICE,
}
SCHEDULED = ["MonthlyGrant", "ExpirySweep", "ExpiryNotices", "JobSweep", "BadgeRenewals", "PurchaseReconcile"]
FANNED_OUT = SCHEDULED
QUEUES = [*FANNED_OUT, "Audit", "MarketplaceEvents"]
WITH_A_QUEUE_OF_THEIR_OWN = [*FANNED_OUT, "Audit"]
DEAD_LETTERS = [
    *(f"{name}DeadLetters" for name in WITH_A_QUEUE_OF_THEIR_OWN),
    "FailedRuns",
    "OutboxDeadLetters",
    "MarketplaceEventsDeadLetters",
]


def functions_of(stack: Json) -> dict[str, Json]:
    return of_type(stack, "AWS::Lambda::Function")


def alarms_on(stack: Json, metric: str) -> list[object]:
    """What the alarms on a metric look at: the value of their only dimension."""
    alarms = of_type(stack, "AWS::CloudWatch::Alarm").values()
    return [alarm["Dimensions"][0]["Value"] for alarm in alarms if alarm.get("MetricName") == metric]


# --- The API ---


def body_of(stack: Json) -> Json:
    """The API's OpenAPI document, as SAM makes it and API Gateway imports it."""
    return stack["Resources"]["Api"]["Properties"]["Body"]


def operations_of(stack: Json) -> dict[str, Json]:
    paths = body_of(stack)["paths"]
    return {f"{method.upper()} {path}": each for path, methods in paths.items() for method, each in methods.items()}


def scopes_of(stack: Json) -> dict[str, list[str] | None]:
    found = {call: operation.get("security", []) for call, operation in operations_of(stack).items()}
    assert all(len(security) <= 1 for security in found.values())
    return {call: security[0]["Tokens"] if security else SIGNED for call, security in found.items()}


def test_the_apis_document_is_valid(stack):
    """API Gateway imports nothing of a document that it has a warning for: FailOnWarnings.

    But for what SAM leaves out of every document that it makes, also of those that AWS is known to import so: the
    responses, the type of a parameter in the path, and the flows of OAuth beside a JWT authorizer.
    """
    assert stack["Resources"]["Api"]["Properties"]["FailOnWarnings"] is True
    document = json.loads(json.dumps(texts(body_of(stack))))
    document["components"]["securitySchemes"]["Tokens"]["flows"] = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["responses"] == {}
            operation["responses"] = {"default": {"description": "See functions/openapi.json."}}
            for parameter in operation.get("parameters", []):
                parameter["schema"] = {"type": "string"}
    assert list(OPENAPI_30_VALIDATOR.iter_errors(document)) == []


def test_every_security_requirement_names_a_scheme_that_is_defined(stack):
    schemes = body_of(stack)["components"]["securitySchemes"]
    required = [security for each in operations_of(stack).values() for security in each.get("security", [])]
    assert required
    assert {name for each in required for name in each} == set(schemes) == {"Tokens"}
    assert "security" not in body_of(stack)


def test_a_document_that_names_a_scheme_which_there_is_not_would_be_found():
    """SAM makes one of `Authorizer: NONE` beside a default authorizer."""
    written = TEMPLATE.read_text().replace("Auth: { Authorizer: Tokens }", "Auth: { Authorizer: NONE }", 1)
    with_default = written.replace(
        "        Authorizers:\n", "        DefaultAuthorizer: Tokens\n        Authorizers:\n", 1
    )
    security = [each["security"] for each in operations_of(transform(with_default)).values()]
    assert [{"NONE": []}] in security


def texts(node: Any) -> Any:
    """The same with a text in place of each intrinsic function, since its value is one."""
    match node:
        case {"Ref": name}:
            return name
        case {"Fn::Sub": text} | {"Fn::GetAtt": text}:
            return str(text)
        case dict():
            return {key: texts(each) for key, each in node.items()}
        case list():
            return [texts(each) for each in node]
    return node


def test_every_route_asks_for_a_token_and_the_right_scopes_but_the_one_that_is_signed(production):
    assert scopes_of(production) == ROUTES


def test_the_clock_has_a_route_in_the_sandbox_and_nowhere_else(sandbox):
    assert scopes_of(sandbox) == ROUTES | {"POST /sandbox/clock": STAFF}


def test_every_route_is_documented_with_the_scopes_that_it_asks_for(sandbox):
    documented = {
        f"{method.upper()} {path}": [scope for one_of in operation["security"] for scope in one_of["Tokens"]]
        if operation["security"]
        else SIGNED
        for path, operations in json.loads(OPENAPI.read_text())["paths"].items()
        for method, operation in operations.items()
    }
    assert documented == scopes_of(sandbox)


def test_every_route_calls_the_function_that_declares_it(sandbox):
    """In the document, a call's tag is the folder of its function."""
    uris = {call: str(each["x-amazon-apigateway-integration"]["uri"]) for call, each in operations_of(sandbox).items()}
    declared = {
        f"{method.upper()} {path}": operation["tags"][0].title().replace("_", "") + "Function"
        for path, operations in json.loads(OPENAPI.read_text())["paths"].items()
        for method, operation in operations.items()
    }
    assert {call: re.search(r"\w+Function", uri)[0] for call, uri in uris.items()} == declared


def test_outside_the_sandbox_nothing_of_it_exists(production):
    assert not [name for name in production["Resources"] if "Sandbox" in name]
    assert "SANDBOX_TABLE_NAME" not in str(production)


def authorizer_of(stack: Json) -> Json:
    schemes = stack["Resources"]["Api"]["Properties"]["Body"]["components"]["securitySchemes"]
    return schemes["Tokens"]["x-amazon-apigateway-authorizer"]["jwtConfiguration"]


def test_tokens_come_from_the_stacks_own_user_pool(production):
    assert authorizer_of(production)["audience"] == [
        {"Ref": "UserClient"},
        {"Ref": "ServiceClient"},
        {"Ref": "StaffClient"},
    ]
    pool = of_type(production, "AWS::Cognito::UserPool")["UserPool"]
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True


def test_people_may_sign_in_with_a_second_factor_and_have_to_where_it_is_asked_for(stack, written):
    pool = of_type(stack, "AWS::Cognito::UserPool")["UserPool"]
    assert pool["MfaConfiguration"] == {"Ref": "UserMfa"}
    assert pool["EnabledMfas"] == ["SOFTWARE_TOKEN_MFA"]
    assert written["Parameters"]["UserMfa"]["AllowedValues"] == ["OPTIONAL", "ON"]


def test_pages_of_other_origins_may_call_where_they_are_allowed_and_nowhere_by_default(stack):
    assert "x-amazon-apigateway-cors" not in body_of(stack)
    origins = "https://market.example,http://localhost:3000"
    assert cors_of(transform(AllowedOrigins=origins))["allowOrigins"] == {"Fn::Split": [",", origins]}


@pytest.mark.parametrize(
    "text", ["*", "https://*.example", "market.example", "https://a.example/", "https://a.example, b"]
)
def test_what_is_no_origin_is_none(written, text):
    assert not re.fullmatch(written["Parameters"]["AllowedOrigins"]["AllowedPattern"], text)


def test_a_page_may_send_and_read_what_the_api_takes_and_answers():
    production = transform(AllowedOrigins="https://market.example")
    cors = cors_of(production)
    assert set(cors["allowMethods"]) == {call.partition(" ")[0] for call in operations_of(production)}
    paths = json.loads(OPENAPI.read_text())["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    sent = {header for each in operations for header in names_of(each.get("parameters", []), "header")}
    signed = {"webhook-id", "webhook-timestamp", "webhook-signature"}  # which no page does
    assert set(cors["allowHeaders"]) == (sent - signed - {"Accept"}) | {"Authorization", "Content-Type"}
    answered = {name for each in operations for answer in each["responses"].values() for name in headers_of(answer)}
    assert set(cors["exposeHeaders"]) == answered


def names_of(parameters: list[Json], place: str) -> list[str]:
    found = [resolved(each) for each in parameters]
    return [each["name"] for each in found if each["in"] == place]


def headers_of(answer: Json) -> Json:
    return resolved(answer).get("headers", {})


def test_a_preflight_needs_no_token(stack):
    """The gateway answers it itself where no route does."""
    assert not [call for call in operations_of(stack) if call.startswith(("OPTIONS", "X-AMAZON")) or "$default" in call]


def cors_of(stack: Json) -> Json:
    return body_of(stack)["x-amazon-apigateway-cors"]


def test_an_issuer_of_ones_own_replaces_the_user_pool():
    stack = transform(Issuer="https://id.example", Audience="connects")
    assert authorizer_of(stack) == {"issuer": {"Ref": "Issuer"}, "audience": {"Ref": "Audience"}}
    assert not [name for name, each in stack["Resources"].items() if each["Type"].startswith("AWS::Cognito")]


def test_only_the_services_own_clients_get_their_scopes(production):
    clients = of_type(production, "AWS::Cognito::UserPoolClient")
    assert {name: client.get("AllowedOAuthScopes") for name, client in clients.items()} == {
        "UserClient": None,
        "ServiceClient": ["connects/service"],
        "StaffClient": ["connects/staff"],
    }


def test_the_secret_that_events_are_signed_with_is_made_by_the_stack(stack):
    """It is base64, and does not stand in the template."""
    (secret,) = of_type(stack, "AWS::SecretsManager::Secret").values()
    generated = secret["GenerateSecretString"]
    assert "SecretString" not in secret
    assert (generated["PasswordLength"], generated["ExcludePunctuation"]) == (64, True)
    assert set(generated["ExcludeCharacters"]) == set(string.punctuation)


# --- Data ---


@pytest.mark.parametrize("resource", ["Table", "UserPool"])
def test_outside_the_sandbox_data_outlives_its_stack(production, sandbox, resource):
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        assert production["Resources"][resource][policy] == "Retain"
        assert sandbox["Resources"][resource][policy] == "Delete"


def test_outside_the_sandbox_the_table_cannot_be_deleted(production, sandbox):
    assert of_type(production, "AWS::DynamoDB::Table")["Table"]["DeletionProtectionEnabled"] is True
    assert of_type(sandbox, "AWS::DynamoDB::Table")["Table"]["DeletionProtectionEnabled"] is False


def test_a_stack_cannot_turn_into_a_sandbox_nor_a_sandbox_into_anything_else(production, sandbox):
    """CloudFormation replaces no resource that has a name of its own, and what a table's key is needs replacement.

    See tests/template/test_stage.py, where an engine refuses it.
    """
    staging = transform(Stage="staging")
    marks = [of_type(stack, "AWS::DynamoDB::Table")["StageMark"] for stack in (production, staging, sandbox)]
    assert {mark["TableName"]["Fn::Sub"] for mark in marks} == {"${AWS::StackName}-stage"}
    keys = [mark["KeySchema"][0]["AttributeName"] for mark in marks]
    assert keys == ["kept", "kept", "sandbox"]


@pytest.mark.parametrize("resource", ["Table", "UserPool"])
def test_no_protection_is_taken_off_before_that_is_refused(stack, resource):
    assert stack["Resources"][resource]["DependsOn"] == "StageMark"


def test_no_way_to_deploy_has_the_stack_of_another():
    environments = tomllib.loads((TEMPLATE.parent / "samconfig.toml").read_text())
    environments.pop("version")
    names = {name: each["global"]["parameters"]["stack_name"] for name, each in environments.items()}
    assert set(names) == {"default", "production", "local"}
    assert len(set(names.values())) == 3
    assert names["local"] == STACK_NAME


def test_the_table_is_encrypted_recoverable_streamed_and_on_demand(stack):
    table = of_type(stack, "AWS::DynamoDB::Table")["Table"]
    assert table["SSESpecification"]["SSEEnabled"] is True
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_the_table_is_ready_for_what_is_asked_for_and_asked_for_nothing_by_default(stack):
    warm = transform(WarmWriteUnits="8000")
    assert of_type(warm, "AWS::DynamoDB::Table")["Table"]["WarmThroughput"] == {
        "ReadUnitsPerSecond": {"Ref": "WarmReadUnits"},
        "WriteUnitsPerSecond": {"Ref": "WarmWriteUnits"},
    }
    assert "WarmThroughput" not in of_type(stack, "AWS::DynamoDB::Table")["Table"]


def test_concurrency_is_kept_for_what_people_wait_for_where_it_is_asked_for(stack):
    def kept(functions_):
        return {name: each["ReservedConcurrentExecutions"] for name, each in functions_.items() if KEPT in each}

    ref = {"Ref": "ReservedConcurrency"}
    names = ("AccountsFunction", "PurchaseFunction", "SpendFunction")
    assert kept(functions_of(transform(ReservedConcurrency="100"))) == dict.fromkeys(names, ref)
    assert kept(functions_of(stack)) == {}


KEPT = "ReservedConcurrentExecutions"


def test_a_due_index_holds_keys_only(stack):
    indexes = of_type(stack, "AWS::DynamoDB::Table")["Table"]["GlobalSecondaryIndexes"]
    assert {index["Projection"]["ProjectionType"] for index in indexes} == {"KEYS_ONLY"}
    assert {index["KeySchema"][0]["AttributeName"] for index in indexes} == {"shard"}


# --- Failures are kept ---


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_run_that_cannot_start_or_fails_for_good_is_kept(stack, name):
    target = stack["Resources"][f"{name}FunctionSchedule"]["Properties"]["Target"]
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["FailedRuns", "Arn"]}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    on_failure = stack["Resources"][f"{name}FunctionEventInvokeConfig"]["Properties"]["DestinationConfig"]["OnFailure"]
    assert on_failure["Destination"] == {"Fn::GetAtt": ["FailedRuns", "Arn"]}


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_run_is_told_for_when_it_was_scheduled(stack, name):
    target = stack["Resources"][f"{name}FunctionSchedule"]["Properties"]["Target"]
    assert target["Input"] == '{"scheduled_time": "<aws.scheduler.scheduled-time>"}'


def test_only_a_schedule_or_a_queue_calls_without_waiting_for_the_answer(stack):
    kinds = {each["Type"] for each in stack["Resources"].values()}
    assert not {"AWS::SNS::Subscription", "AWS::Lambda::Url"} & kinds
    rules = of_type(stack, "AWS::Events::Rule").values()
    assert [target["Arn"] for rule in rules for target in rule["Targets"]] == [
        {"Fn::GetAtt": ["MarketplaceEventsQueue", "Arn"]}
    ]


@pytest.mark.parametrize("name", QUEUES)
def test_a_message_that_fails_five_times_goes_aside(stack, name):
    queue = of_type(stack, "AWS::SQS::Queue")[f"{name}Queue"]
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [f"{name}DeadLetters", "Arn"]},
        "maxReceiveCount": 5,
    }


@pytest.mark.parametrize("name", QUEUES)
def test_a_message_is_hidden_six_times_as_long_as_its_function_may_take(stack, name):
    queue = of_type(stack, "AWS::SQS::Queue")[f"{name}Queue"]
    assert queue["VisibilityTimeout"] >= 6 * functions_of(stack)[f"{name}Function"]["Timeout"]


def test_a_failed_message_does_not_take_its_batch_along(stack):
    triggers = of_type(stack, "AWS::Lambda::EventSourceMapping").values()
    assert len(triggers) == len(QUEUES) + 1
    assert {tuple(trigger["FunctionResponseTypes"]) for trigger in triggers} == {("ReportBatchItemFailures",)}


def test_the_outbox_keeps_the_order_of_an_account_and_blocks_no_shard_for_ever(stack):
    """More than one batch of a shard at a time would keep the order of each item, and an entry is an item."""
    trigger = of_type(stack, "AWS::Lambda::EventSourceMapping")["OutboxTrigger"]
    assert trigger["ParallelizationFactor"] == 1
    assert trigger["StartingPosition"] == "TRIM_HORIZON"
    assert 0 < trigger["MaximumRetryAttempts"] <= 10_000
    assert 0 < trigger["MaximumRecordAgeInSeconds"] < 24 * 3600, "the stream forgets after a day"
    assert trigger["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["OutboxDeadLetters", "Arn"]}


def test_the_rule_lets_through_what_is_acted_on_and_nothing_else(stack):
    rule = of_type(stack, "AWS::Events::Rule")["MarketplaceEventsRule"]
    assert rule["EventPattern"] == {"source": ["marketplace"], "detail-type": list(HANDLERS)}
    assert rule["Targets"][0]["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["MarketplaceEventsDeadLetters", "Arn"]}}


def test_the_bus_may_fill_the_queue_and_nobody_else(stack):
    (policy,) = of_type(stack, "AWS::SQS::QueuePolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["MarketplaceEventsRule", "Arn"]}}}


def test_without_a_sender_nothing_mails(production):
    assert not [name for name in production["Resources"] if "Mail" in name]


def test_with_a_sender_notices_are_mailed_by_a_queue_that_leaves_what_fails_aside():
    stack = transform(SenderAddress="connects@example.com")
    rule = of_type(stack, "AWS::Events::Rule")["MailerRule"]
    assert rule["EventPattern"] == {"source": ["connects.ledger"], "detail-type": [{"prefix": "notice."}]}
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": ["MailerQueue", "Arn"]}
    queue = of_type(stack, "AWS::SQS::Queue")["MailerQueue"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["MailerDeadLetters", "Arn"]}
    assert queue["VisibilityTimeout"] >= 6 * functions_of(stack)["MailerFunction"]["Timeout"]
    assert {"Fn::GetAtt": ["MailerDeadLetters", "QueueName"]} in alarms_on(stack, "ApproximateNumberOfMessagesVisible")
    assert {"Ref": "MailerFunction"} in alarms_on(stack, "Errors")


def test_a_sender_needs_the_stacks_own_user_pool(written):
    """The ledger stores no e-mail addresses."""
    (rule,) = [rule for name, rule in written["Rules"].items() if "Sender" in name]
    assert rule["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "Issuer"}, ""]}


def test_late_events_raise_an_alarm(stack):
    assert alarms_on(stack, "IteratorAge") == [{"Ref": "OutboxFunction"}]


def test_queues_are_encrypted_and_dead_letters_kept_for_two_weeks(stack):
    queues = of_type(stack, "AWS::SQS::Queue")
    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())
    assert {queues[name]["MessageRetentionPeriod"] for name in DEAD_LETTERS} == {14 * 24 * 3600}


# --- Alarms ---


def test_every_function_has_an_alarm_on_errors(production):
    assert alarms_on(production, "Errors") == [{"Ref": name} for name in functions_of(production)]


def test_every_dead_letter_queue_has_an_alarm(stack):
    watched = alarms_on(stack, "ApproximateNumberOfMessagesVisible")
    assert watched == [{"Fn::GetAtt": [name, "QueueName"]} for name in DEAD_LETTERS]
    redrives = [queue.get("RedrivePolicy") for queue in of_type(stack, "AWS::SQS::Queue").values()]
    assert {each["deadLetterTargetArn"]["Fn::GetAtt"][0] for each in redrives if each} <= set(DEAD_LETTERS)


@pytest.mark.parametrize("metric", ["ScheduleLagSeconds", "OldestDueHours"])
def test_every_schedule_has_an_alarm_on_lateness(stack, metric):
    latest = [
        alarm["Dimensions"][0]["Value"]
        for alarm in of_type(stack, "AWS::CloudWatch::Alarm").values()
        if (alarm.get("MetricName"), alarm.get("Statistic")) == (metric, "Maximum")
    ]
    assert latest == SCHEDULED
    services = {each["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for each in functions_of(stack).values()}
    assert set(SCHEDULED) <= services


EACH_MINUTE = ["JobSweep", "PurchaseReconcile"]


@pytest.mark.parametrize("name", SCHEDULED)
@pytest.mark.parametrize("schedule", ["rate(1 minute)", "rate(30 minutes)", "rate(1 hour)"])
def test_a_schedule_that_stops_altogether_raises_an_alarm(name, schedule):
    """Counted are the runs that looked for what is due, not the invocations: the queue invokes the same function."""
    stack = transform(DueSchedule=schedule)
    alarm = of_type(stack, "AWS::CloudWatch::Alarm")[f"{name}MissingAlarm"]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("ScheduleLagSeconds", "SampleCount")
    assert alarm["Dimensions"] == [{"Name": "service", "Value": name}]
    assert (alarm["TreatMissingData"], alarm["ComparisonOperator"]) == ("breaching", "LessThanThreshold")
    every_seconds = {"rate(1 minute)": 60, "rate(30 minutes)": 1800, "rate(1 hour)": 3600}[schedule]
    if name in EACH_MINUTE:
        assert stack["Resources"][f"{name}FunctionSchedule"]["Properties"]["ScheduleExpression"] == "rate(1 minute)"
        every_seconds = 60
        assert alarm["Period"] * alarm["EvaluationPeriods"] == 600
    assert alarm["Period"] >= every_seconds, "a period without a run would be no sign"


def test_every_queue_has_an_alarm_on_what_waits_in_it(stack):
    ages = {str(each) for each in alarms_on(stack, "ApproximateAgeOfOldestMessage")}
    queues = {name for name in of_type(stack, "AWS::SQS::Queue") if name.endswith("Queue")}
    assert ages == {str({"Fn::GetAtt": [name, "QueueName"]}) for name in queues}


def test_every_function_has_an_alarm_on_throttles(production):
    assert alarms_on(production, "Throttles") == [{"Ref": name} for name in functions_of(production)]


def test_calls_that_dynamodb_throttles_raise_an_alarm_whatever_they_are(stack):
    alarms = of_type(stack, "AWS::CloudWatch::Alarm").values()
    dimensions = [each["Dimensions"] for each in alarms if each.get("MetricName") == "ThrottledRequests"]
    assert {each[0]["Value"]["Ref"] for each in dimensions} == {"Table"}
    called = {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "TransactWriteItems"}
    assert {each[1]["Value"] for each in dimensions} == called


@pytest.mark.parametrize(
    ("metric", "parameter", "service"),
    [
        ("OldestPendingPurchaseMinutes", "MaximumPendingPurchaseMinutes", "PurchaseReconcile"),
        ("OldestHoldPastEndMinutes", "MaximumHoldPastEndMinutes", "JobSweep"),
    ],
)
def test_what_somebody_waits_for_raises_an_alarm_within_minutes(stack, written, metric, parameter, service):
    assert alarms_on(stack, metric) == [service]
    (alarm,) = [each for each in of_type(stack, "AWS::CloudWatch::Alarm").values() if each.get("MetricName") == metric]
    assert alarm["Threshold"] == {"Ref": parameter}
    assert written["Parameters"][parameter]["Default"] == 15


def test_no_alarm_is_raised_by_what_a_caller_did_wrong(stack):
    """Refusals are looked at by code: see test_observability."""
    alarms = of_type(stack, "AWS::CloudWatch::Alarm").values()
    metrics = {alarm["MetricName"] for alarm in alarms if "MetricName" in alarm}
    assert not {metric for metric in metrics if metric.lower() in {"4xx", "4xxerror"}}


def test_alarms_go_to_the_topic_that_is_given_and_nowhere_by_default(stack):
    topic = "arn:aws:sns:eu-west-1:123456789012:alarms"
    told = transform(AlarmTopicArn=topic)
    assert all(alarm["AlarmActions"] for alarm in of_type(told, "AWS::CloudWatch::Alarm").values())
    assert not any("AlarmActions" in alarm for alarm in of_type(stack, "AWS::CloudWatch::Alarm").values())


def test_the_metrics_that_alarms_watch_are_ones_the_code_emits(stack):
    alarms = of_type(stack, "AWS::CloudWatch::Alarm").values()
    ours = {alarm["MetricName"] for alarm in alarms if "ConnectsLedger" in str(alarm.get("Namespace"))}
    counted = {
        each["MetricName"]
        for filter_ in of_type(stack, "AWS::Logs::MetricFilter").values()
        for each in filter_["MetricTransformations"]
    }
    assert ours
    assert {metric for metric in ours - counted if f'"{metric}"' not in code()} == set()


# --- Logs ---


def test_every_function_writes_json_to_a_log_group_that_forgets(stack):
    groups = of_type(stack, "AWS::Logs::LogGroup")
    assert all(group["RetentionInDays"] for group in groups.values())
    for name, function in functions_of(stack).items():
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["LoggingConfig"]["LogGroup"]["Ref"] in groups, name


# --- Settings ---


def code() -> str:
    folders = [Path(inspect.getfile(package)).parent for package in (functions, shared)]
    return "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))


def test_the_functions_are_told_only_what_the_code_reads(sandbox):
    text = code()
    for name, function in functions_of(sandbox).items():
        told = {each for each in function["Environment"]["Variables"] if not each.startswith("POWERTOOLS_")}
        assert not {each for each in told if f'"{each}"' not in text}, name


OF_PAYMENTS = {"PAYMENT_SECRET_ARN", "PAYMENT_PROVIDER", "RETURN_URL"}
OF_SOME = {"DUE_QUEUE_URL", "EVENT_BUS_NAME", "OUTBOX_DEAD_LETTERS_URL", *OF_PAYMENTS}
"""Settings that some functions have no use for."""


def test_a_function_that_has_to_do_with_payments_is_told_all_about_them(written):
    for name, resource in written["Resources"].items():
        if name.endswith("Function"):
            told = resource["Properties"].get("Environment", {}).get("Variables", {})
            about = {each: value for each, value in told.items() if each in OF_PAYMENTS - {"PAYMENT_SECRET_ARN"}}
            wanted = {variable(each): {"Ref": each} for each in ("PaymentProvider", "ReturnUrl")}
            assert about == (wanted if "PAYMENT_SECRET_ARN" in told else {}), name


def test_the_functions_are_told_all_that_the_code_reads(sandbox):
    read = set(re.findall(r'"([A-Z][A-Z_]+)"', inspect.getsource(Settings)))
    assert read
    for name, function in functions_of(sandbox).items():
        assert read - OF_SOME <= set(function["Environment"]["Variables"]), name


@pytest.mark.parametrize("name", WITH_A_QUEUE_OF_THEIR_OWN)
def test_a_function_that_sends_itself_work_knows_its_own_queue(stack, name):
    variables = functions_of(stack)[f"{name}Function"]["Environment"]["Variables"]
    assert variables["DUE_QUEUE_URL"] == {"Ref": f"{name}Queue"}


def test_every_handler_exists(sandbox):
    for function in functions_of(sandbox).values():
        module, _, name = function["Handler"].rpartition(".")
        assert name == "handler"
        assert TEMPLATE.parent.joinpath(*module.split(".")).with_suffix(".py").exists()


def test_every_parameter_is_used_and_shown_in_a_group(written):
    body = [written["Rules"], written["Conditions"], written["Globals"], written["Resources"]]
    used = {node["Ref"] for node in walk(body) if isinstance(node, dict) and isinstance(node.get("Ref"), str)}
    assert set(written["Parameters"]) <= used
    groups = written["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(written["Parameters"])


def test_every_number_has_limits(written):
    for name, parameter in written["Parameters"].items():
        if parameter["Type"] == "Number":
            assert "AllowedValues" in parameter or {"MinValue", "MaxValue"} <= set(parameter), name
