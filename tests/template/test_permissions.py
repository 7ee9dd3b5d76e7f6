"""What each function may do, from the policies that SAM makes of the template."""

from typing import Any

import pytest

from shared.store.audits import AuditRow
from shared.store.badges import PriceRow
from shared.store.jobs import JobRow, ProposalRow
from shared.store.promos import CampaignRow, CounterRow
from shared.store.purchases import PurchaseRow
from shared.store.rows import AccountRow, ClaimRow, EntryRow, NoticeRow
from tests.permissions import TableAction, allows, documents, many
from tests.permissions import statements as statements_of
from tests.template.transform import Json, of_type, transform

CHANGE = {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
QUEUE = {"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}

BUS = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${AWS::StackName}"
IDENTITIES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*"
SECRET = {("secretsmanager:GetSecretValue", "PaymentSecret.Id")}
STREAM = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}


def statements(stack: Json) -> list[Json]:
    """Every statement that the template itself writes, in roles and in policies of their own."""
    found = [each["PolicyDocument"] for each in of_type(stack, "AWS::IAM::ManagedPolicy").values()]
    for role in of_type(stack, "AWS::IAM::Role").values():
        found += [policy["PolicyDocument"] for policy in role.get("Policies", [])]
    return [statement for document in found for statement in document["Statement"]]


def granted(stack: Json, function: str) -> set[tuple[str, str]]:
    """(action, resource) pairs that a function has, but for logs and traces."""
    return {
        (action, named(resource))
        for document in documents(stack, function)
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
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
        whom = str(statement["Resource"]).replace(IDENTITIES, "")  # held to its sender by a condition
        assert "*" not in whom, statement


def test_nobody_may_delete_or_scan(stack):
    actions = {action for statement in statements(stack) for action in many(statement["Action"])}
    assert not {"dynamodb:DeleteItem", "dynamodb:Scan", "dynamodb:BatchWriteItem"} & actions


@pytest.mark.parametrize(
    ("function", "more"),
    [
        ("AccountsFunction", on("Table", "dynamodb:BatchGetItem") | on("by_time", "dynamodb:Query")),
        (
            "PurchaseFunction",
            on("Table", "dynamodb:BatchGetItem", "dynamodb:Query") | on("by_time", "dynamodb:Query") | SECRET,
        ),
        (
            "PaymentEventsFunction",
            on("Table", "dynamodb:BatchGetItem") | on("by_time", "dynamodb:Query") | SECRET,
        ),
        ("SpendFunction", on("Table", "dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem")),
        ("JobsFunction", on("Table", "dynamodb:BatchGetItem") | on("JobSweepQueue", "sqs:SendMessage")),
        (
            "JobSweepFunction",
            on("job_due", "dynamodb:Query")
            | on("Table", "dynamodb:Query", "dynamodb:BatchGetItem")
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
        (
            "MarketplaceEventsFunction",
            on("Table", "dynamodb:BatchGetItem")
            | on("by_time", "dynamodb:Query")
            | on("MarketplaceEventsQueue", *QUEUE - {"sqs:SendMessage"}),
        ),
        (
            "PurchaseReconcileFunction",
            on("purchase_due", "dynamodb:Query")
            | on("by_time", "dynamodb:Query")
            | on("PurchaseReconcileQueue", *QUEUE)
            | on("FailedRuns", "sqs:SendMessage")
            | on("Table", "dynamodb:BatchGetItem")
            | SECRET,
        ),
    ],
)
def test_a_function_may_change_the_ledger_and_little_more(production, function, more):
    assert granted(production, function) == on("Table", *CHANGE) | more


def test_only_who_pays_on_a_job_reads_accounts_among_several_items_at_once(stack):
    batches = {each["Sid"]: each for each in statements(stack) if "dynamodb:BatchGetItem" in many(each["Action"])}
    of_one_kind = {"PromoCounters": "PROMO#*", "Jobs": "JOB#*"}
    assert set(batches) - set(of_one_kind) == {"PriceOfTheJob", "AuctionOfTheJob"}
    for sid, keys in of_one_kind.items():
        assert batches[sid]["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [keys]}}


def test_of_the_table_itself_nothing_may_be_listed_but_what_belongs_to_a_job_and_purchases_of_an_account(stack):
    listings = [
        each
        for each in statements(stack)
        if "dynamodb:Query" in many(each["Action"]) and each["Resource"] == {"Fn::GetAtt": ["Table", "Arn"]}
    ]
    of_a_job = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["JOB#*"]}}
    of_an_account = {"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["*#*"]}}
    conditions = {each["Sid"]: each["Condition"] for each in listings}
    assert conditions == {"ProposalsOnJobs": of_a_job, "PurchasesOfAnAccount": of_an_account}


def test_the_audit_may_read_an_account_and_write_nothing_but_how_far_it_got(production):
    assert granted(production, "AuditFunction") == (
        on("Table", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem")
        | on("by_time", "dynamodb:Query")
        | SECRET
        | on("AuditQueue", *QUEUE)
    )
    (writes,) = [each for each in statements(production) if each.get("Sid") == "HowFarItGot"]
    allowed = writes["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
    assert set(allowed) == set(AuditRow.get_attributes())
    assert not {"lots", "balance_after", "state"} & set(allowed)


CHANGE_ACCOUNTS = [
    *("Accounts", "Purchase", "PaymentEvents", "Spend", "Refund", "Rewards", "Promos", "Jobs", "Boosts", "Badge"),
    *("MonthlyGrant", "ExpirySweep", "ExpiryNotices", "JobSweep", "BadgeRenewals", "PurchaseReconcile"),
    "MarketplaceEvents",
]
IN_A_TRANSACTION = {"EnclosingOperation": {"TransactWriteItems"}}
BESIDE_ACCOUNTS = {
    "GetItem": {
        "JOB#j1": {"Accounts", "Spend", "Jobs", "Boosts", "JobSweep", "MarketplaceEvents"},
        "PROMO#SPRING": {"Promos", "Purchase", "PaymentEvents", "PurchaseReconcile"},
        "BADGE#PRICE": {"Badge", "BadgeRenewals"},
    },
    "UpdateItem": {
        "JOB#j1": {"Accounts", "Jobs", "Boosts", "JobSweep", "MarketplaceEvents"},
        "PROMO#SPRING": {"Promos", "Purchase", "PaymentEvents", "PurchaseReconcile"},
        "BADGE#PRICE": {"BadgeRenewals"},
    },
    "PutItem": {"JOB#j1": {"Spend"}, "PROMO#SPRING": {"Promos"}, "BADGE#PRICE": set()},
}
"""Which functions may, by action and partition."""


def may(stack, function, action, pk="ann", attributes=(), **more):
    asked = TableAction(action, "ledger", {"LeadingKeys": {pk}, "Attributes": set(attributes)} | more)
    return allows(statements_of(stack, f"{function}Function"), asked)


def names(*rows):
    return {attribute.attr_name for row in rows for attribute in row.get_attributes().values()} - {"pk", "sk"}


@pytest.mark.parametrize("function", CHANGE_ACCOUNTS)
def test_no_function_may_update_what_an_entry_a_claim_or_a_notice_consists_of(stack, function):
    """But for `seq`, which accounts have as well."""
    updated = names(AccountRow, JobRow, ProposalRow, CampaignRow, CounterRow, PriceRow)
    updated |= {"state", "purchase_due", "revision", "promo_refused"}  # of a purchase, when it is completed
    kept = names(EntryRow, ClaimRow, NoticeRow)
    assert kept & updated == {"seq"}
    assert not any(may(stack, function, "UpdateItem", attributes=["version", name]) for name in kept - updated)
    assert all(may(stack, function, "UpdateItem", attributes=["version", name]) for name in names(AccountRow))


@pytest.mark.parametrize("function", CHANGE_ACCOUNTS)
def test_an_entry_is_put_in_a_transaction_or_not_at_all(stack, function):
    assert may(stack, function, "PutItem", attributes=names(EntryRow), **IN_A_TRANSACTION)
    assert not may(stack, function, "PutItem", attributes=names(EntryRow))
    assert may(stack, function, "PutItem", attributes=names(PurchaseRow))


@pytest.mark.parametrize("action", BESIDE_ACCOUNTS)
def test_who_changes_accounts_may_touch_other_items_only_where_that_is_its_work(stack, action):
    allowed = {
        pk: {function for function in CHANGE_ACCOUNTS if may(stack, function, action, pk)}
        for pk in BESIDE_ACCOUNTS[action]
    }
    assert allowed == BESIDE_ACCOUNTS[action]


def test_nobody_else_may_read_a_secret(stack):
    readers = [each for each in statements(stack) if any("secret" in action for action in many(each["Action"]))]
    assert [each["Sid"] for each in readers] == ["PaymentSecret"]


def test_the_outbox_may_read_the_stream_and_nothing_of_the_table(stack):
    assert granted(stack, "OutboxFunction") == (
        on("Table.StreamArn", *STREAM) | on(BUS, "events:PutEvents") | on("OutboxDeadLetters", "sqs:SendMessage")
    )


def test_the_mailer_may_look_up_addresses_and_send_from_its_own():
    """To whomever: in SES's sandbox the right is asked for on the receiver's identity too."""
    stack = transform(SenderAddress="connects@example.com")
    assert granted(stack, "MailerFunction") == (
        on("MailerQueue", *QUEUE - {"sqs:SendMessage"})
        | on("UserPool", "cognito-idp:AdminGetUser")
        | on("MailsTable", "dynamodb:GetItem", "dynamodb:PutItem")
        | on(IDENTITIES, "ses:SendEmail")
    )
    (sends,) = [each for each in statements(stack) if each["Action"] == "ses:SendEmail"]
    assert sends["Condition"] == {"StringEquals": {"ses:FromAddress": {"Ref": "SenderAddress"}}}


def said_of_the_bus(stack):
    policy = of_type(stack, "AWS::Events::EventBus")["Bus"]["Policy"]
    statements_ = {each["Sid"]: each for each in policy["Statement"]}
    assert {each["Action"] for each in statements_.values()} == {"events:PutEvents"}
    assert {each["Resource"]["Fn::Sub"] for each in statements_.values()} == {BUS}
    assert of_type(stack, "AWS::Events::EventBus")["Bus"]["Name"] == {"Ref": "AWS::StackName"}
    return {sid: (each["Effect"], each["Principal"], each["Condition"]) for sid, each in statements_.items()}


FROM_LEDGER, FROM_MARKETPLACE = {"events:source": "connects.ledger"}, {"events:source": "marketplace"}
NOT_THE_OUTBOX = {"aws:PrincipalArn": {"Fn::GetAtt": ["OutboxFunctionRole", "Arn"]}}
NOT_OF_THIS_ACCOUNT = {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}


def test_nobody_but_the_outbox_speaks_for_the_ledger_and_nobody_of_another_account_for_the_marketplace(stack):
    assert said_of_the_bus(stack) == {
        "OnlyTheOutboxSpeaksForTheLedger": (
            "Deny",
            "*",
            {"ForAnyValue:StringEquals": FROM_LEDGER, "ArnNotEquals": NOT_THE_OUTBOX},
        ),
        "OnlyPublishersSpeakForTheMarketplace": (
            "Deny",
            "*",
            {"ForAnyValue:StringEquals": FROM_MARKETPLACE, "StringNotEquals": NOT_OF_THIS_ACCOUNT},
        ),
    }


def test_where_publishers_are_named_nobody_else_speaks_for_the_marketplace():
    said = said_of_the_bus(transform(EventPublishers="arn:aws:iam::123456789012:role/marketplace"))
    named_ = {"Ref": "EventPublishers"}
    assert said["OnlyPublishersSpeakForTheMarketplace"] == (
        "Deny",
        "*",
        {"ForAnyValue:StringEquals": FROM_MARKETPLACE, "ArnNotEquals": {"aws:PrincipalArn": named_}},
    )
    assert said["PublishersMaySpeakForTheMarketplace"] == (
        "Allow",
        {"AWS": named_},
        {"ForAllValues:StringEquals": FROM_MARKETPLACE},
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
        "AuditFunction",
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
