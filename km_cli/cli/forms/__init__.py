"""The forms in which `dry-run --as` writes calls, for people to read or for other programs to send.

A form is one file with a subclass of Form, and one line here.
"""

from __future__ import annotations

from km_cli.cli.forms.base import About, Form
from km_cli.cli.forms.curl import CurlForm
from km_cli.cli.forms.js import JsForm
from km_cli.cli.forms.jsonl import JsonlForm
from km_cli.cli.forms.table import TableForm
from km_cli.cli.forms.urls import UrlsForm

FORMS: dict[str, type[Form]] = {
    form.word: form for form in (TableForm, JsonlForm, JsForm, CurlForm, UrlsForm)
}
"""Every form by the word that names it after `--as`."""

__all__ = ["FORMS", "About", "Form"]
