"""The file of an import plan, and the inputs that it is about."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import click

from km_cli.cli.context import environment_of, km_toml_of
from km_cli.cli.terminal.described import described
from km_cli.cli.terminal.observer import ProgressObserver
from km_cli.cli.terminal.show import escaped
from km_cli.config.files import read_small
from km_cli.config.plans import make_plans
from km_cli.config.settings import Settings
from km_cli.errors import ReadError, UsageError
from km_cli.import_plan import START, ImportPlan, Input, LedgerPart, Position, parse, signed, text_of
from km_cli.import_plan.reading import LARGEST
from km_cli.inputs.messages import path_text
from km_cli.ledger import Ledger, Reading
from km_cli.ledger.durable import put_in_place
from km_cli.mapping import Columns
from km_cli.object_address import is_address
from km_cli.run.pipeline import Pipeline
from km_cli.run.plan_making import Made, Rehearsal, ledger_part, make_plan
from km_cli.run.plan_taking import RECORDS, Marks, PlanTaker
from km_cli.run.rehearsal import Rehearsed, Work


class PlanningObserver(ProgressObserver):
    """Shows the progress, and keeps in words which column of each input has which role."""

    def __init__(self, settings: Settings, *arguments: object, **more: object) -> None:
        super().__init__(settings, *arguments, **more)  # type: ignore[arg-type]  # passed on as they are
        self._members = settings.members.personas if settings.members else ()
        self.columns: dict[str, str] = {}

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """Keep the described columns."""
        super().opened(source, columns, reading)
        continues = f"; continues at line {reading.line + 1:,}" if reading.length else ""
        self.columns[source] = f"{described(columns, self._members)}{continues}"


class Planning:
    """An import plan in the making. It begins at a position if an earlier run has sent what is before it."""

    def __init__(
        self,
        context: click.Context,
        settings: Settings,
        inputs: tuple[Input, ...],
        at: Position = START,
        marks: Marks | None = None,
    ) -> None:
        self._context = context
        self._settings = settings
        self._inputs = inputs
        self._ledger: LedgerPart | None = None
        self.taker = PlanTaker(at, marks)

    def work(self, inner: Work) -> Work:
        """Return the work of the rehearsal: it looks at the ledger first."""

        def work(pipeline: Pipeline, ledger: Ledger) -> None:
            self._ledger = ledger_part(ledger, self._settings.target.tracker)
            inner(pipeline, ledger)
            self.taker.finish()

        return work

    def text(self, rehearsed: Rehearsed, columns: Mapping[str, str]) -> str:
        """Return the text of the plan, signed, without any API key of this command.

        The rehearsal is whole. `columns` says in words which column has which role, by input.
        """
        assert self._ledger is not None, "there was no rehearsal"
        made = Made(environment_of(self._context).clock.now(), version("km-cli"))
        events = sum(number for (*_, kind, _), number in self.taker.calls.items() if kind == RECORDS)
        cost = cost_of(self._context, events)
        found = Rehearsal(rehearsed, self.taker, self._inputs, columns, self._ledger, cost)
        return signed(escaped(text_of(make_plan(self._settings, made, found))))


def check_target(settings: Settings, option: str) -> None:
    """Raise UsageError for bulk files: no run that writes them is held to a plan."""
    if settings.target.bulk() is not None:
        raise UsageError(
            f"{option} and --to {settings.target.spelled} do not go together: an import plan is about calls "
            "that are sent to the tracker",
            "leave one of them out; km-cli dry-run … --as jsonl --out PATH writes the calls for review",
        )


def inputs_of(settings: Settings, option: str) -> tuple[Input, ...]:
    """Return the inputs as they are on disk. Raises UsageError for one that can be read once, ReadError."""
    return tuple(_input(name, option) for name in settings.files)


def _input(name: str, option: str) -> Input:
    label = "standard input" if name == "-" else path_text(name)
    if is_address(name):
        raise UsageError(
            f"{option} needs files on this machine, and {label} is in an object store",
            "copy it to this machine, and give the copy: as long as its bytes are the same, so are its calls",
        )
    try:
        if name == "-" or not stat.S_ISREG(os.stat(name).st_mode):
            raise UsageError(
                f"{option} needs files, since each is read again before it is sent; {label} can be read only "
                "once",
                "write it to a file first, and give that file",
            )
        with open(name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise ReadError(
            f"{label}: cannot be read: {error.strerror or error}", "check its permissions"
        ) from None
    return Input(name=label, bytes=size, sha256=digest, columns="", rows=0, first_line=0, last_line=0)


def cost_of(context: click.Context, events: int) -> dict[str, str]:
    """Return what so many events cost by the plans in km.toml; nothing if it has none."""
    config = km_toml_of(context).config
    if not config.plans:
        return {}
    return {"events": f"{events:,}", "if_billed_in_one_month": make_plans(config).describe(events)}


def read_plan(path: Path, option: str) -> ImportPlan:
    """Read a plan. Raises UsageError if it cannot be read, is no plan, or was edited."""
    content = read_small(path, LARGEST, f"{option} {path}", "give the file that km-cli dry-run --out wrote")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"{option} {path} is not text", "give the file that km-cli dry-run --out wrote"
        ) from None
    return parse(text, str(path))


def write_plan(path: Path, text: str) -> None:
    """Write a plan, for its owner alone: it has values of the log. Its name shows a whole plan or none.

    Raises ReadError if it cannot be written.
    """
    path = Path(os.path.realpath(path))
    try:
        file = tempfile.NamedTemporaryFile(prefix=f".{path.name}-", dir=path.parent, delete=False)  # noqa: SIM115 - closed below
        try:
            with file:
                file.write(text.encode())
            put_in_place(Path(file.name), path)
        except BaseException:
            with suppress(OSError):
                os.unlink(file.name)
            raise
    except OSError as error:
        raise ReadError(
            f"--out {path}: the plan cannot be written: {error.strerror or error}",
            "make room, or give another path",
        ) from None
