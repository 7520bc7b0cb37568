"""`--as curl`: a shell script that sends the calls by `curl -K -`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote

from km_cli.cli.forms.base import UNKNOWN_TO_LEDGER, About, Form, sent_calls
from km_cli.config.sites import Site
from km_cli.destinations.base import LONGEST_GET
from km_cli.model import RowPlan

_HEAD = f"""\
#!/bin/sh
# What km-cli would send, by curl, one call after the other. The script ends at the first call that fails. If
# it runs again, it sends all calls again, and Kissmetrics counts each once (D1). Kissmetrics answers 200 to
# everything, so an answer does not prove that a call was right.
# {UNKNOWN_TO_LEDGER}
# API keys come from the environment or from their files. curl reads them from standard input: no argument has
# them.
set -eu
send() {{ curl --disable --config - --silent --show-error --fail --fail-early --max-time 30 >/dev/null; }}
check() {{
    case "$2" in
    "") echo "$1 is empty or not set: it must hold an API key" >&2; exit 2 ;;
    *[!A-Za-z0-9._-]*) echo "$1 does not hold an API key" >&2; exit 2 ;;
    esac
}}"""

_MOST_IN_ONE = 200
"""How many calls one curl sends over its connection."""


class CurlForm(Form):
    """Here-documents of URLs, in which the shell puts the key.

    Payloads are percent-encoded, so that they have nothing that a shell or curl would read as its own.
    """

    word: ClassVar[str] = "curl"
    needs_tracker: ClassVar[bool] = True

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._variables = {site.name: f"key_{at}" for at, site in enumerate(about.sites, 1)}
        self._open = 0
        """How many calls the open here-document has, 0 if none is open."""

    def head(self) -> Iterator[str]:
        """Yield the beginning of the script, which reads the keys."""
        yield from _HEAD.split("\n")
        for site in self._about.sites:
            yield from _reads_key(site, self._variables[site.name])

    def row(self, plan: RowPlan) -> Iterator[str]:
        """Yield the configuration of curl for each call. A form has a document of its own: it is no GET."""
        for row, call, second in sent_calls(plan):
            path, _, query = self._encoder.encode(call, second).decode("ascii").partition("?")
            url, key = self._about.url + path, f"_k=${{{self._variables[call.site]}}}"
            is_form = len(url) + len(query) >= LONGEST_GET
            if is_form or self._open == _MOST_IN_ONE:
                yield from self.tail()
            if not self._open:
                yield "send <<END"
            self._open += 1
            yield f"# {quote(row.source, safe=_PLAIN)}, line {row.line}"
            if is_form:
                yield from (f'url = "{url}"', f'data = "{key}&{query}"', *self.tail())
            else:
                yield f'url = "{url}?{key}&{query}"'

    def tail(self) -> Iterator[str]:
        """Yield the end of a here-document, if one is open."""
        if self._open:
            yield "END"
        self._open = 0


_PLAIN = "/ ._-+=@,"
"""Characters of a file's name that mean nothing in a here-document. Others are percent-encoded."""


def _reads_key(site: Site, variable: str) -> Iterator[str]:
    """Yield the lines that put the key of a site into a variable of the shell, and check it."""
    if site.key_file:
        yield f"{variable}=$(cat {shlex.quote(site.key_file)})"
    else:  # not ${NAME}: a shell does not know every name that a variable of the environment may have
        yield f"{variable}=$(printenv {shlex.quote(site.key_env)} || :)"
    yield f'check {shlex.quote(site.where)} "${variable}"'
