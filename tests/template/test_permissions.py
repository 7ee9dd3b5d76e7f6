"""What each function may do, from the policies that SAM makes of the template."""

from typing import Any

import pytest

from tests.template.transform import Json, of_type, transform

CHANGE = {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
QUEUE = {"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}

STREAM = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(stack: Json) -> list[Json]:
    """Every statement that the template itself writes, in roles and in policies of their own."""
    documents = [each["PolicyDocument"] for each in of_type(stack, "AWS::IAM::ManagedPolicy").values()]
    for role in of_type(stack, "AWS::IAM::Role").values():
        documents += [policy["PolicyDocument"] for policy in role.get("Policies", [])]
    return [statement for document in documents for statement in document["Statement"]]


def granted(stack: Json, function: str) -> set[tuple[str, str]]:
    """(action, resource) pairs that a function has, but for logs and traces."""
    role = stack["Resources"][f"{function}Role"]["Properties"]
    shared = [
        stack["Resources"][arn["Ref"]]["Properties"] for arn in role["ManagedPolicyArns"] if isinstance(arn, dict)
    ]
    documents = [policy["PolicyDocument"] for policy in [*shared, *role.get("Policies", [])]]
    return {
        (action, named(resource))
        for document in documents
        for statement in document["Statement"]
        for action in many(statement["Action"])
        for resource in many(statement["Resource"])
    }


def named(resource: Any) -> str:
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return text.replace("${Table.Arn}/index/", "")
    return str(resource)


def on(resource: str, *actions: str) -> set[tuple[str, str]]:
    return {(action, resource) for action in actions}


def test_no_policy_has_a_wildcard(stack):
    for statement in statements(stack):
        assert not any("*" in action for action in many(statement["Action"])), statement
        assert "*" not in str(statement["Resource"]), statement
        assert statement["Effect"] == "Allow"


def test_nobody_may_delete_or_scan(stack):
    actions = {action for statement in statements(stack) for action in many(statement["Action"])}
    assert not {"dynamodb:DeleteItem", "dynamodb:Scan", "dynamodb:BatchWriteItem"} & actions


@pytest.mark.parametrize(
    ("function", "more"),
    [
        ("AccountsFunction", on("by_time", "dynamodb:Query")),
        ("PurchaseFunction", on("Table", "dynamodb:BatchGetItem")),
        (
            "PaymentEventsFunction",
            on("Table", "dynamodb:BatchGetItem") | on("PaymentSecret.Id", "secretsmanager:GetSecretValue"),
        ),
        ("SpendFunction", on("Table", "dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem")),
        ("JobsFunction", on("JobSweepQueue", "sqs:SendMessage")),
        (
            "JobSweepFunction",
            on("job_due", "dynamodb:Query")
            | on("Table", "dynamodb:Query")
            | on("JobSweepQueue", *QUEUE)
            | on("FailedRuns", "sqs:SendMessage"),
        ),
        ("RefundFunction", set()),
        ("RewardsFunction", set()),
        ("PromosFunction", on("Table", "dynamodb:BatchGetItem")),
        (
            "MonthlyGrantFunction",
            on("grant_due", "dynamodb:Query") | on("MonthlyGrantQueue", *QUEUE) | on("FailedRuns", "sqs:SendMessage"),
        ),
        (
            "ExpirySweepFunction",
            on("expiry_due", "dynamodb:Query") | on("ExpirySweepQueue", *QUEUE) | on("FailedRuns", "sqs:SendMessage"),
        ),
        (
            "ExpiryNoticesFunction",
            on("notice_due", "dynamodb:Query") | on("ExpiryNoticesQueue", *QUEUE) | on("FailedRuns", "sqs:SendMessage"),
        ),
        ("BoostsFunction", on("Table", "dynamodb:BatchGetItem")),
        ("BadgeFunction", set()),
        (
            "BadgeRenewalsFunction",
            on("badge_due", "dynamodb:Query") | on("BadgeRenewalsQueue", *QUEUE) | on("FailedRuns", "sqs:SendMessage"),
        ),
        ("MarketplaceEventsFunction", on("MarketplaceEventsQueue", *QUEUE - {"sqs:SendMessage"})),
        (
            "PurchaseReconcileFunction",
            on("purchase_due", "dynamodb:Query")
            | on("PurchaseReconcileQueue", *QUEUE)
            | on("FailedRuns", "sqs:SendMessage")
            | on("Table", "dynamodb:BatchGetItem"),
        ),
    ],
)
def test_a_function_may_change_the_ledger_and_little_more(production, function, more):
    assert granted(production, function) == on("Table", *CHANGE) | more


def test_only_who_pays_on_a_job_reads_other_items_than_those_of_promo_codes_many_at_once(stack):
    batches = {each["Sid"]: each for each in statements(stack) if "dynamodb:BatchGetItem" in many(each["Action"])}
    assert set(batches) == {"PromoCounters", "PriceOfTheJob", "AuctionOfTheJob"}
    leading = {"dynamodb:LeadingKeys": ["PROMO#*"]}
    assert batches["PromoCounters"]["Condition"] == {"ForAllValues:StringLike": leading}


def test_of_the_table_itself_nothing_may_be_listed_but_what_belongs_to_a_job(stack):
    listings = [
        each
        for each in statements(stack)
        if "dynamodb:Query" in many(each["Action"]) and each["Resource"] == {"Fn::GetAtt": ["Table", "Arn"]}
    ]
    assert listings
    for listing in listings:
        assert listing["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["JOB#*"]}}


def test_nobody_else_may_read_a_secret(stack):
    readers = [each for each in statements(stack) if any("secret" in action for action in many(each["Action"]))]
    assert [each["Sid"] for each in readers] == ["PaymentSecret"]


def test_the_outbox_may_read_the_stream_and_nothing_of_the_table(stack):
    assert granted(stack, "OutboxFunction") == (
        on("Table.StreamArn", *STREAM) | on("Bus", "events:PutEvents") | on("OutboxDeadLetters", "sqs:SendMessage")
    )


@pytest.mark.parametrize(("identity", "named_"), [("", "SenderAddress"), ("example.com", "SenderIdentity")])
def test_the_mailer_may_look_up_addresses_and_send_from_its_own(identity, named_):
    stack = transform(SenderAddress="connects@example.com", SenderIdentity=identity)
    granted_ = granted(stack, "MailerFunction")
    (sends,) = [resource for action, resource in granted_ if action == "ses:SendEmail"]
    assert f"{{'Ref': '{named_}'}}" in sends
    assert {pair for pair in granted_ if pair[1] != sends} == (
        on("MailerQueue", *QUEUE - {"sqs:SendMessage"})
        | on("UserPool", "cognito-idp:AdminGetUser")
        | on("MailsTable", "dynamodb:GetItem", "dynamodb:PutItem")
    )


@pytest.mark.parametrize(
    "function", ["PurchaseFunction", "PaymentEventsFunction", "PurchaseReconcileFunction", "SandboxClockFunction"]
)
def test_in_the_sandbox_who_charges_or_turns_the_clock_may_write_there(sandbox, function):
    assert on("SandboxTable", *CHANGE) <= granted(sandbox, function)


@pytest.mark.parametrize(
    "function",
    [
        "AccountsFunction",
        "SpendFunction",
        "RefundFunction",
        "RewardsFunction",
        "JobsFunction",
        "JobSweepFunction",
        "MonthlyGrantFunction",
        "ExpirySweepFunction",
        "BoostsFunction",
        "BadgeFunction",
        "BadgeRenewalsFunction",
    ],
)
def test_in_the_sandbox_the_others_may_only_read_the_clock(sandbox, function):
    grants = {action for action, resource in granted(sandbox, function) if resource == "SandboxTable"}
    assert grants == {"dynamodb:GetItem"}


def test_a_schedule_may_invoke_its_function_and_leave_a_failed_run(stack):
    for name in ("MonthlyGrant", "ExpirySweep", "ExpiryNotices", "JobSweep", "BadgeRenewals", "PurchaseReconcile"):
        role = stack["Resources"][f"{name}FunctionScheduleRole"]["Properties"]
        pairs = {
            (many(statement["Action"])[0], named(statement["Resource"]))
            for policy in role["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        }
        assert pairs == {("lambda:InvokeFunction", f"{name}Function"), ("sqs:SendMessage", "FailedRuns")}
