"""Facts about Kissmetrics that no log shows. They explain why km-cli works as it does.

kissmetrics.md beside this file has all facts with their sources. Here are the texts of `km-cli rules CODE`
for the facts that are never a finding. `cure` says what km-cli does about a fact.
"""

from __future__ import annotations

from km_cli.rules.base import About, Severity


def _fact(code: str, meaning: str, answer: str, source: str, disagreement: str = "") -> About:
    return About(code, Severity.FACT, meaning, answer, source, disagreement=disagreement)


FACTS: tuple[About, ...] = (
    _fact(
        "W1",
        "Kissmetrics takes three calls: /e records an event, /s sets properties, /a aliases two identities.",
        "It sends a GET up to 2,048 characters of URL, and a POST form above that, over https only.",
        "specifications, segment integration-kissmetrics",
        "The host is trk.kissmetrics.io; older pages name trk.kissmetrics.com, and only GET.",
    ),
    _fact(
        "W2",
        "A call has a key, a person, an event name and a time in UTC seconds; all else is a property.",
        "It sends _d=1 with every time: without it Kissmetrics uses the time of arrival instead.",
        "specifications",
    ),
    _fact(
        "W3",
        "Kissmetrics answers every call with 200 and a picture, even one that it does not keep.",
        "It rejects rows that Kissmetrics would not keep, such as those without an event or an identity.",
        "specifications",
    ),
    _fact(
        "W4",
        "Calls are UTF-8, and characters such as + @ & must be percent-encoded.",
        "It percent-encodes every character that has a meaning in a URL.",
        "specifications",
    ),
    _fact(
        "W5",
        "An older JSON interface takes many calls in one POST that is signed with a secret.",
        "It does not use it: no page says whether the interface is still served.",
        "kissmetrics-js, uri_signer",
    ),
    _fact(
        "W6",
        "Bulk files are for large loads: JSON, or CSV with at most 10 properties and no double quotes.",
        "It makes calls instead, which have neither limit, and sends large logs with many calls at once.",
        "csv-import, json-import, recurring-import",
    ),
    _fact(
        "W7",
        "The data export writes JSON files to an S3 bucket, in order of arrival, not of time.",
        "Nothing yet. A day's file may hold events of the days beside it.",
        "data, data-export",
        "An older page says that duplicates are in the export, back to the first data; "
        "the newer one that they are not, and that it reaches back six months.",
    ),
    _fact(
        "W8",
        "The Ruby libraries write calls to a log, and km_send sends them without looking at the answers.",
        "It keeps each call in its ledger until Kissmetrics has acknowledged it.",
        "km, kmts",
    ),
    _fact(
        "W9",
        "Only the JavaScript queue has a call of its own to identify a person.",
        "It shows `identify` in sequences; on the wire each call carries its person itself.",
        "common-methods",
    ),
    _fact(
        "W10",
        "Segment sends the visitor's address and browser as _ip and _ua.",
        "It does not send them: properties that begin with _ are reserved.",
        "segment integration-kissmetrics",
    ),
    _fact(
        "W11",
        "Kissmetrics publishes no rate limit, no status page, and no key that makes a call idempotent.",
        "It begins with four calls in flight, waits when calls fail, and sends them again byte for byte.",
        "reference (2026)",
    ),
    _fact(
        "Q1",
        "The Query API takes 15 requests a minute on every plan, and calls itself a beta.",
        "Nothing yet: this version does not query Kissmetrics.",
        "reference: overview, authorization; pricing (2026)",
        "One page signs in with e-mail and password, another with an API key as the user name.",
    ),
    _fact(
        "Q2",
        "The Query API lists products, events and properties, 50 a page, without a mark of the last page.",
        "Nothing yet: this version does not query Kissmetrics.",
        "reference: fetch-products, fetch-events, fetch-properties",
        "The page about properties shows the key `events` in its answer.",
    ),
    _fact(
        "Q3",
        "A query is started with POST /queries and polled until it has a result, of an unpublished form.",
        "Nothing yet: this version does not query Kissmetrics.",
        "reference: run-query, query-types",
    ),
    _fact(
        "Q4",
        "Events show in reports only after a while: older pages say one to three hours.",
        "It does not wait: an acknowledged call may not show in a report yet.",
        "people-events-properties",
        "Newer pages promise no time.",
    ),
    _fact(
        "Q5",
        "Kissmetrics bills events, and toggling records most events twice: for the user and the account.",
        "The dry run says how many calls each persona has. `events` in km.toml lists those it may do.",
        "pricing (August 2026)",
        "No page says in which month a backdated event counts.",
    ),
    _fact(
        "D3",
        "The documented cure for calls that would merge (D1, D2) is to move the later ones by a second each.",
        "It moves such a call to the first free second within --spread.",
        "ecommerce-essentials",
    ),
    _fact(
        "D9",
        "A property belongs to the person, not to the event that it was sent with.",
        "It can send a persona only the properties that km.toml names for it.",
        "people-events-properties",
    ),
    _fact(
        "D10",
        "Nothing that was sent can be edited or deleted.",
        "It shows the first sequences and asks before an import. Try --limit 10 on a test product first.",
        "deleting-data, testing-km",
    ),
    _fact(
        "I5",
        "A person must have the same identity in every source, such as the website's JavaScript.",
        "It sends identities as the log has them. Name the column that your website identifies people by.",
        "importing-data",
    ),
    _fact(
        "I6",
        "People and accounts: the account as a property, identities toggled in one site, or a site for each.",
        "It offers all three as --strategy: property, toggle and sites.",
        "person-or-account",
        "The recipe for toggling was later taken off the page, until it could be clarified further.",
    ),
)
"""The facts, in the order of kissmetrics.md."""
