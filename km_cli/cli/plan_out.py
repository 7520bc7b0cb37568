"""`dry-run --out`: the import plan of a dry run, and where it goes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click

from km_cli.cli.context import environment_of
from km_cli.cli.own_files import check_output
from km_cli.cli.plan_file import Planning, check_target, inputs_of, read_plan, write_plan
from km_cli.config.files import expanded
from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.import_plan import parse
from km_cli.run.rehearsal import Rehearsed

_STANDARD_OUTPUT = "-"


class Written(NamedTuple):
    """A plan that was written. `replaced` is the time of the plan that it took the place of, "" for none."""

    path: str
    digest: str
    replaced: str

    @property
    def text(self) -> str:
        """The sentence that says so."""
        instead = f", in place of the one of {self.replaced}" if self.replaced else ""
        return f"The import plan is in {self.path}{instead}; its digest is {self.digest[:12]}."


class PlanOut:
    """The plan of a dry run. Making it raises UsageError if the plan could not be made or written."""

    def __init__(self, context: click.Context, settings: Settings) -> None:
        check_target(settings, "--out")
        self._stdout = environment_of(context).stdout
        self._replaced = ""
        self._path = self._place(context, settings)
        self.planning = Planning(context, settings, inputs_of(settings, "--out"))

    @property
    def is_printed(self) -> bool:
        """Whether the plan goes to standard output, where nothing else may stand then."""
        return self._path is None

    def _place(self, context: click.Context, settings: Settings) -> Path | None:
        """Return the file, None for standard output.

        A file is replaced only if it is a plan: another file may have been named by mistake.
        """
        out = context.params["out"]
        if out == _STANDARD_OUTPUT:
            if context.params["as_json"]:
                message = "--json and --out - would both write to standard output"
                raise UsageError(message, "give a file: --out PATH")
            return None
        path = expanded(out, "--out")
        check_output(context, settings, path, "--out")
        if os.path.lexists(path):
            try:
                self._replaced = read_plan(path, "--out").made
            except UsageError:
                raise UsageError(
                    f"--out {path}: the file is there already, and it is not an import plan, or was edited",
                    "give another path, or remove that file first",
                ) from None
        return path

    def write(self, found: Rehearsed, columns: Mapping[str, str]) -> Written | None:
        """Write the plan; None if it was printed. Raises ReadError if it cannot be written."""
        text = self.planning.text(found, columns)
        if self._path is None:
            self._stdout.write(text)
            return None
        write_plan(self._path, text)
        return Written(str(self._path), parse(text, str(self._path)).digest, self._replaced)
