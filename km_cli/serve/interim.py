# ruff: noqa
# mypy: ignore-errors
"""A journal in memory until the store has one."""

import time

from km_cli.standin import Hit, Journal, KeptCall, Store, Summary, decode


class InterimStore(Store):
    seen: list[KeptCall] = []
    names: dict[str, str] = {}

    def receive(self, requests):
        requests = list(requests)
        super().receive(requests)
        for path, body in requests:
            hit = decode(path, body)
            n, now = len(self.seen) + 1, int(time.time())
            if isinstance(hit, Hit):
                kind = {"e": "event", "s": "set", "a": "alias"}[hit.kind]
                second = None if kind == "alias" else hit.second or now
                self.seen.append(
                    KeptCall(n, now, hit.product, kind, hit.person, hit.name, second, hit.properties, ())
                )
            else:
                self.seen.append(KeptCall(n, now, "", "ignored", "", "", None, (), ()))

    def site_of(self, key):
        return self.names.setdefault(key, f"site-{len(self.names) + 1}")

    def name_site(self, name, key):
        self.names[key] = name

    def delete_all(self):
        self.seen.clear()


class InterimJournal(Journal):
    def __init__(self, path):
        pass

    def close(self):
        pass

    def last_id(self):
        return len(InterimStore.seen)

    def missing(self):
        return 0

    def sites(self):
        return sorted(set(InterimStore.names.values()))

    def calls(
        self, since=0, limit=100, *, person=None, event=None, site=None, text=None, before=None, newest=False
    ):
        found = [
            c
            for c in list(InterimStore.seen)
            if c.id > since
            and (before is None or c.id < before)
            and person in (None, c.identity)
            and event in (None, c.name)
            and site in (None, c.site)
            and (text or "") in f"{c.identity} {c.name}"
        ]
        return found[-limit:] if newest else found[:limit]

    def summary(self):
        n = len(InterimStore.seen)
        return Summary(n, n, {}, {}, {})

    def facts(self, *a, **k):
        return []

    def calls_by_id(self, ids):
        return {}

    def people(self, text="", limit=100, site=None):
        return []

    def person(self, identity, site=None):
        return []
