"""Logs of other systems, in their documented shapes, and the columns that a person would choose in each.

The rows are our own. `source` says where the shape is documented. The answers were written down before the
code that has to find them. An answer of several columns takes any of them, and "" stands for none.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

ROWS = 60
_BEGIN = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)


class Stranger(NamedTuple):
    """A log and its answers. `expands` is the object whose members are the properties, "" if none is."""

    name: str
    source: str
    row: Callable[[int], dict[str, Any]]
    event: tuple[str, ...]
    timestamp: tuple[str, ...]
    user: tuple[str, ...]
    account: tuple[str, ...]
    id: tuple[str, ...]
    expands: str = ""
    ending: str = "jsonl"

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.{self.ending}"

    def text(self, rows: int = ROWS) -> str:
        """The log."""
        made = [self.row(number) for number in range(rows)]
        if self.ending == "jsonl":
            return "".join(f"{json.dumps(row)}\n" for row in made)
        out = io.StringIO()
        writer = csv.DictWriter(out, list(made[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(made)
        return out.getvalue()


def at(number: int, form: str = "%Y-%m-%dT%H:%M:%SZ", later: int = 0) -> str:
    """The time of a row, in a form."""
    return (_BEGIN + timedelta(minutes=7 * number, seconds=later)).strftime(form)


def seconds(number: int, unit: int = 1) -> int:
    """The time of a row as a number."""
    return int((_BEGIN + timedelta(minutes=7 * number)).timestamp()) * unit


def uuid(number: int, kind: int = 1) -> str:
    """A UUID that no other row has."""
    return f"{kind:08x}-0000-4000-8000-{number:012x}"


def who(number: int) -> str:
    """One of fifteen people."""
    return ("ada", "bo", "cy", "di", "ed")[number % 5] + str(number % 3)


def firm(number: int) -> str:
    """The firm of that person."""
    return ("acme", "birch", "cobalt")[number % 3]


def github(n: int) -> dict[str, Any]:
    """Two of five rows belong to an organisation; pull requests have people and times of their own."""
    kind = ("PushEvent", "WatchEvent", "IssuesEvent", "PullRequestEvent", "ForkEvent")[n % 5]
    actor = {"id": 100 + n % 15, "login": who(n), "display_login": who(n), "gravatar_id": "",
             "url": f"https://api.example/users/{who(n)}", "avatar_url": "https://a.example/"}  # fmt: skip
    payload: dict[str, Any] = {"push_id": n, "size": 1, "ref": "refs/heads/main"}
    if kind in ("IssuesEvent", "PullRequestEvent"):
        item = {"id": n, "user": {"login": who(n + 1), "id": 1}, "created_at": at(n, later=-90), "number": n}
        payload = {"action": ("opened", "closed")[n % 2], "issue" if n % 5 == 2 else "pull_request": item}
    elif kind == "WatchEvent":
        payload = {"action": "started"}
    row = {"id": str(22249084900 + 7 * n), "type": kind, "actor": actor,
           "repo": {"id": n % 9, "name": f"{firm(n)}/r{n % 9}", "url": "https://api.example/r"},
           "payload": payload, "public": True, "created_at": at(n)}  # fmt: skip
    if n % 5 < 2:
        row["org"] = {"id": 7 + n % 3, "login": firm(n), "gravatar_id": "", "url": "u", "avatar_url": "a"}
    return row


def stripe(n: int) -> dict[str, Any]:
    """`object` is always "event"; `data.object` has an id, a type and a time of its own."""
    kind = ("invoice.paid", "charge.succeeded", "customer.subscription.updated")[n % 3]
    thing = {"id": f"in_{n}", "object": kind.split(".")[0], "amount": 100 * n, "currency": "eur",
             "created": seconds(n) - 60, "customer": f"cus_{firm(n)}{n % 4}", "livemode": True,
             "metadata": {}, "status": ("paid", "open")[n % 2]}  # fmt: skip
    return {"id": f"evt_1N{n:06}", "object": "event", "api_version": "2020-08-27", "created": seconds(n),
            "data": {"object": thing}, "livemode": True, "pending_webhooks": n % 2,
            "request": {"id": f"req_{n}" if n % 2 else None, "idempotency_key": None},
            "type": kind}  # fmt: skip


def segment(n: int) -> dict[str, Any]:
    """Track calls with four times, of which two are the event's."""
    return {"anonymousId": uuid(n % 15, 3), "channel": "server",
            "context": {"groupId": firm(n), "ip": "192.0.2.1", "library": {"name": "node", "version": "2.1"},
                        "page": {"path": f"/{n % 4}", "url": "https://x.example/"}},
            "event": ("Signed Up", "Report Opened", "Plan Changed")[n % 3], "integrations": {},
            "messageId": f"ajs-{uuid(n)}", "originalTimestamp": at(n), "properties": {"plan": "pro",
            "seats": n % 7},
            "receivedAt": at(n, later=3), "sentAt": at(n, later=2), "timestamp": at(n, later=1),
            "type": "track",
            "userId": who(n), "version": 2}  # fmt: skip


def mixpanel(n: int) -> dict[str, Any]:
    """All but the event's name is in `properties`."""
    return {"event": ("Sign Up", "Play", "Stop")[n % 3],
            "properties": {"time": seconds(n), "distinct_id": who(n),
            "$insert_id": f"k{n:08}{n * 7919 % 10007}",
                           "$city": "Oslo", "$os": "Linux", "company": firm(n), "mp_lib": "web",
                           "length": n % 13}}  # fmt: skip


def amplitude(n: int) -> dict[str, Any]:
    """Several times, and groups in lists."""
    form = "%Y-%m-%d %H:%M:%S.123000"
    return {"$insert_id": uuid(n, 5), "amplitude_id": 5 + n % 15, "app": 123, "city": "Oslo",
            "client_event_time": at(n, form), "client_upload_time": at(n, form, later=4),
            "device_id": uuid(n % 15, 6), "event_id": n % 40, "event_properties": {"plan": "pro",
            "count": n % 5},
            "event_time": at(n, form), "event_type": ("open", "share", "save")[n % 3],
            "groups": {"company": [firm(n)]},
            "library": "http/1.0", "platform": "Web", "processed_time": at(n, form, later=9),
            "server_upload_time": at(n, form, later=5), "session_id": seconds(n // 4, 1000),
            "user_id": f"{who(n)}@{firm(n)}.example", "user_properties": {}, "uuid": uuid(n, 7)}  # fmt: skip


def posthog(n: int) -> dict[str, Any]:
    """Groups stand in the properties, beside what the library adds."""
    return {"uuid": uuid(n, 8), "event": ("$pageview", "signed up", "$autocapture")[n % 3],
            "properties": {"$lib": "web", "$current_url": f"/{n % 5}", "$group_0": firm(n),
            "$session_id": uuid(n // 3),
                           "token": "phc_x"},
            "timestamp": at(n, "%Y-%m-%dT%H:%M:%S.250000Z"), "distinct_id": who(n),
            "created_at": at(n, later=8), "elements_chain": ""}  # fmt: skip


def cloudtrail(n: int) -> dict[str, Any]:
    """`eventType` and `eventVersion` are constant; sessions have a time of their own."""
    return {"eventVersion": "1.08",
            "userIdentity": {"type": "IAMUser", "principalId": f"AIDA{who(n).upper()}",
                             "arn": f"arn:aws:iam::{111 + n % 3}:user/{who(n)}",
                             "accountId": f"{111 + n % 3}",
                             "userName": who(n),
                             "sessionContext": {"attributes": {"creationDate": at(n // 9)}}},
            "eventTime": at(n), "eventSource": ("s3.example", "ec2.example")[n % 2],
            "eventName": ("GetObject", "RunInstances", "ListBuckets", "StopInstances")[n % 4],
            "awsRegion": "eu-north-1", "sourceIPAddress": f"192.0.2.{n % 15}", "userAgent": "cli",
            "requestParameters": {"bucketName": f"b{n % 4}"}, "responseElements": None,
            "requestID": uuid(n, 9),
            "eventID": uuid(n, 10), "eventType": "AwsApiCall",
            "recipientAccountId": f"{111 + n % 3}"}  # fmt: skip


def kubernetes(n: int) -> dict[str, Any]:
    """`kind` is always "Event"; the verb is the event."""
    row = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": uuid(n, 11),
           "stage": "ResponseComplete", "requestURI": f"/api/v1/pods/{n}", "verb": ("get", "list",
           "patch")[n % 3],
           "user": {"username": f"{who(n)}@x.example", "groups": ["system:authenticated"]},
           "sourceIPs": ["192.0.2.1"], "userAgent": "kubectl", "responseStatus": {"code": 200},
           "requestReceivedTimestamp": at(n, "%Y-%m-%dT%H:%M:%S.100000Z"),
           "stageTimestamp": at(n, "%Y-%m-%dT%H:%M:%S.200000Z")}  # fmt: skip
    if n % 4:
        row["objectRef"] = {"resource": "pods", "namespace": firm(n), "name": f"p{n}", "apiVersion": "v1"}
    return row


def shop(n: int) -> dict[str, Any]:
    """A list of orders: each row is the same event, and nothing says which."""
    form = "%Y-%m-%d %H:%M:%S +0000"
    return {"Name": f"#{1000 + n}", "Email": f"{who(n)}@x.example", "Financial Status": ("paid",
            "pending")[n % 2],
            "Paid at": at(n, form, later=30) if n % 2 == 0 else "", "Fulfillment Status": ("",
            "fulfilled")[n % 2],
            "Currency": "EUR", "Total": f"{n}.50", "Created at": at(n, form), "Billing Name": who(n).title(),
            "Billing Company": ""}  # fmt: skip


def auth0(n: int) -> dict[str, Any]:
    """`client_id` is an application; `organization_id` is the account."""
    return {"date": at(n, "%Y-%m-%dT%H:%M:%S.529Z"), "type": ("s", "slo", "seacft")[n % 3],
            "description": "" if n % 3 else "Successful login", "connection": "db", "connection_id": "con_1",
            "client_id": ("AaiyAP", "Bq81")[n % 2], "client_name": ("App", "Admin")[n % 2],
            "ip": f"192.0.2.{n % 15}",
            "hostname": "x.auth.example", "user_id": f"auth0|{who(n)}", "user_name": f"{who(n)}@x.example",
            "organization_id": f"org_{firm(n)}", "organization_name": firm(n), "log_id": f"900202403{n:010}",
            "_id": f"900202403{n:010}", "isMobile": False, "user_agent": "Firefox"}  # fmt: skip


def okta(n: int) -> dict[str, Any]:
    """`client` is a browser, and most of its members are empty."""
    return {"uuid": uuid(n, 12), "published": at(n, "%Y-%m-%dT%H:%M:%S.104Z"),
            "eventType": ("user.session.start", "user.authentication.sso",
            "group.user_membership.add")[n % 3],
            "version": "0", "severity": "INFO", "legacyEventType": ("core.a", "core.b",
            "core.c")[n % 3] if n % 4 else None,
            "displayMessage": ("Login", "Sign on", "Add user to group")[n % 3],
            "actor": {"id": f"00u{who(n)}", "type": "User", "alternateId": f"{who(n)}@x.example",
                      "displayName": who(n).title()},
            "client": {"id": None, "zone": "null", "device": "Computer", "ipAddress": f"192.0.2.{n % 15}",
                       "userAgent": {"browser": "FIREFOX", "os": "Linux"}},
            "outcome": {"result": ("SUCCESS", "FAILURE")[n % 7 == 0], "reason": None},
            "transaction": {"type": "WEB", "id": f"t{n}"}, "target": [{"id": "x",
            "type": "AppInstance"}]}  # fmt: skip


def keycloak(n: int) -> dict[str, Any]:
    """Milliseconds, and the type is the event."""
    return {"id": uuid(n, 13), "time": seconds(n, 1000), "type": ("LOGIN", "LOGOUT", "CODE_TO_TOKEN")[n % 3],
            "realmId": "main", "clientId": ("web", "mobile")[n % 2], "userId": uuid(n % 15, 14),
            "sessionId": uuid(n // 3, 15), "ipAddress": f"192.0.2.{n % 15}",
            "details": {"username": who(n), "auth_method": "openid-connect"}}  # fmt: skip


def snowplow(n: int) -> dict[str, Any]:
    """`event` says the same in each row; `event_name` names the event."""
    form = "%Y-%m-%d %H:%M:%S.321"
    return {"app_id": "web", "platform": "web", "collector_tstamp": at(n, form, later=2), "event": "unstruct",
            "event_id": uuid(n, 16), "user_id": who(n), "domain_userid": uuid(n % 20, 17),
            "event_name": ("link_click", "add_to_cart", "page_ping")[n % 3], "geo_country": "NO"}  # fmt: skip


def papertrail(n: int) -> dict[str, Any]:
    """The changes of records, as a table of a Rails application."""
    return {"id": 5000 + n, "item_type": ("Invoice", "Project")[n % 2], "item_id": n % 11,
            "event": ("create", "update", "destroy")[n % 3], "whodunnit": 40 + n % 15,
            "created_at": at(n, "%Y-%m-%d %H:%M:%S UTC")}  # fmt: skip


def slack(n: int) -> dict[str, Any]:
    """The actor's person lies three levels deep; the entity is what was changed."""
    user = {"id": f"W{who(n).upper()}", "name": who(n), "email": f"{who(n)}@x.example"}
    return {"id": uuid(n, 18), "date_create": seconds(n),
            "action": ("user_login", "file_downloaded", "channel_joined")[n % 3],
            "actor": {"type": "user", "user": user},
            "entity": {"type": ("user", "file", "channel")[n % 3], "id": f"E{n}"},
            "context": {"ua": "Firefox", "ip_address": f"192.0.2.{n % 15}", "session_id": n // 4,
                        "location": {"type": "workspace", "id": "T1", "name": "main",
                        "domain": "main"}}}  # fmt: skip


def clicks(n: int) -> dict[str, Any]:
    """A web shop's clicks: no column is an account, though some recur."""
    return {"event_time": at(n, "%Y-%m-%d %H:%M:%S UTC"), "event_type": ("view", "cart", "purchase")[n % 3],
            "product_id": 9000 + n % 31, "category_id": 77 + n % 6, "category_code": ("audio.phone",
            "kitchen")[n % 2],
            "brand": ("alto", "brio", "cello", "")[n % 4], "price": f"{n % 31}.99", "user_id": 500 + n % 15,
            "user_session": uuid(n // 4, 19)}  # fmt: skip


def intercom(n: int) -> dict[str, Any]:
    """The description says in words what the type says, and each admin has one of his own."""
    who_did = {"type": "admin", "id": str(900 + n % 15), "email": f"{who(n)}@x.example", "ip": "192.0.2.1"}
    return {"id": uuid(n, 20), "performed_by": who_did, "metadata": {"message": "hello"},
            "created_at": seconds(n),
            "activity_type": ("app_name_change", "admin_login_success", "message_state_change")[n % 3],
            "activity_description": f"{who(n)} did something"}  # fmt: skip


def nginx(n: int) -> dict[str, Any]:
    """Times as web servers write them; "-" is no user."""
    return {"time_local": at(n, "%d/%b/%Y:%H:%M:%S +0000"), "remote_addr": f"192.0.2.{n % 15}",
            "remote_user": who(n), "request": ("GET / HTTP/1.1", "POST /login HTTP/1.1")[n % 2],
            "status": ("200", "304", "404")[n % 3], "body_bytes_sent": str(7 * n), "request_time": "0.004",
            "http_user_agent": "Mozilla/5.0"}  # fmt: skip


def django(n: int) -> dict[str, Any]:
    """What was done is a number, and the object is not the event."""
    return {"id": n + 1, "action_time": at(n, "%Y-%m-%d %H:%M:%S.123456+00:00"), "object_id": n % 9,
            "object_repr": f"Invoice {n % 9}", "action_flag": 1 + n % 3,
            "change_message": '[{"changed": {"fields": ["Status"]}}]', "content_type_id": (4, 7)[n % 2],
            "user_id": 1 + n % 15}  # fmt: skip


def enriched(n: int) -> dict[str, Any]:
    """Snowplow's events as JSON: the time of the pipeline stands before those of the event."""
    form = "%Y-%m-%dT%H:%M:%S.597Z"
    return {"app_id": "x.example", "platform": "web", "etl_tstamp": at(n, form, later=9),
            "collector_tstamp": at(n, form, later=2), "dvce_created_tstamp": at(n, form),
            "event": ("page_view", "unstruct")[n % 2], "event_id": uuid(n, 21), "txn_id": None,
            "user_id": who(n), "domain_userid": uuid(n % 20, 22),
            "event_name": ("link_click", "add_to_cart", "page_view")[n % 3],
            "derived_tstamp": at(n, form, later=1)}  # fmt: skip


def auth0_apps(n: int) -> dict[str, Any]:
    """A tenant without organizations: all rows have the same application, which is no account."""
    row = auth0(n)
    return {key: value for key, value in row.items() if not key.startswith("organization")} | {
        "client_id": "AaiyAPdpYdesoKnqjj8HJqRn4T5titww",
        "client_name": "App",
    }


STRANGERS = (
    Stranger("github", "docs.github.com/rest/activity/events", github, ("type",), ("created_at",),
             ("actor.login", "actor.id"), ("org.login", "org.id"), ("id",)),
    Stranger("stripe", "docs.stripe.com/api/events/object", stripe, ("type",), ("created",), ("",),
             ("data.object.customer",), ("id",), "data.object"),
    Stranger("segment", "segment.com/docs/connections/spec/common", segment, ("event",),
             ("timestamp", "originalTimestamp"), ("userId",), ("context.groupId",), ("messageId",),
             "properties"),
    Stranger("mixpanel", "developer.mixpanel.com/reference/raw-event-export", mixpanel, ("event",),
             ("properties.time",), ("properties.distinct_id",), ("properties.company",),
             ("properties.$insert_id",),
             "properties"),
    Stranger("amplitude", "amplitude.com/docs/apis/analytics/export", amplitude, ("event_type",),
             ("event_time", "client_event_time"), ("user_id",), ("groups.company", "groups.company.0"),
             ("$insert_id", "uuid"),
             "event_properties"),
    Stranger("posthog", "posthog.com/docs/data/events", posthog, ("event",), ("timestamp",), ("distinct_id",),
             ("properties.$group_0",), ("uuid",), "properties"),
    Stranger("cloudtrail", "docs.aws.amazon.com/awscloudtrail record contents", cloudtrail, ("eventName",),
             ("eventTime",), ("userIdentity.userName", "userIdentity.arn", "userIdentity.principalId"),
             ("userIdentity.accountId", "recipientAccountId"), ("eventID",)),
    Stranger("kubernetes", "kubernetes.io/docs/reference/config-api/apiserver-audit.v1", kubernetes,
             ("verb",),
             ("requestReceivedTimestamp", "stageTimestamp"), ("user.username",), ("", "objectRef.namespace"),
             ("auditID",)),
    Stranger("shop", "help.shopify.com/manual/orders/exporting-orders", shop, ("",), ("Created at",),
             ("Email",),
             ("",), ("", "Name"), ending="csv"),
    Stranger("auth0", "auth0.com/docs/api/management/v2/logs", auth0, ("type",), ("date",), ("user_id",
             "user_name"),
             ("organization_id", "organization_name"), ("log_id", "_id")),
    Stranger("okta", "developer.okta.com/docs/reference/api/system-log", okta, ("eventType",
             "displayMessage"),
             ("published",), ("actor.alternateId", "actor.id"), ("",), ("uuid",)),
    Stranger("keycloak", "keycloak.org/docs-api EventRepresentation", keycloak, ("type",), ("time",),
             ("userId",),
             ("",), ("id",)),
    Stranger("snowplow", "docs.snowplow.io canonical event", snowplow, ("event_name",), ("collector_tstamp",),
             ("user_id",), ("",), ("event_id",), ending="csv"),
    Stranger("papertrail", "github.com/paper-trail-gem/paper_trail", papertrail, ("event",), ("created_at",),
             ("whodunnit",), ("",), ("id",), ending="csv"),
    Stranger("slack", "api.slack.com/admins/audit-logs", slack, ("action",), ("date_create",),
             ("actor.user.id", "actor.user.email"), ("",), ("id",)),
    Stranger("intercom", "developers.intercom.com activity logs", intercom, ("activity_type",),
             ("created_at",), ("performed_by.id", "performed_by.email"), ("",), ("id",)),
    Stranger("nginx", "nginx.org/en/docs/http/ngx_http_log_module.html", nginx, ("request",), ("time_local",),
             ("remote_user",), ("",), ("",)),
    Stranger("django", "docs.djangoproject.com django.contrib.admin LogEntry", django, ("",),
             ("action_time",), ("user_id",), ("",), ("", "id"), ending="csv"),
    Stranger("enriched", "docs.snowplow.io analytics SDK", enriched, ("event", "event_name"),
             ("collector_tstamp", "derived_tstamp", "dvce_created_tstamp"), ("user_id",), ("",),
             ("event_id",)),
    Stranger("auth0_apps", "auth0.com/docs/api/management/v2/logs", auth0_apps, ("type",), ("date",),
             ("user_id", "user_name"), ("",), ("log_id", "_id")),
    Stranger("clicks", "columns of a public data set of a web shop's clicks", clicks, ("event_type",),
             ("event_time",),
             ("user_id",), ("",), ("",), ending="csv"),
)  # fmt: skip
