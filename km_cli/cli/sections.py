"""Options that stand in titled sections of the help, and take their value from a variable as well."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from km_cli.config.environment import Environment
from km_cli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    _ParamType = click.ParamType[int]
else:
    _ParamType = click.ParamType

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
OptionInSection = Callable[[str], Callable[[Any], Any]]
"""Given the title of a section, returns click's decorator for one option."""


_PERSONAS = ("user", "account")
"""Options that name the column of a persona, which may have several columns in km.toml."""


class AutoOrNumber(click.IntRange):
    """A whole number, or the word auto for one that km-cli finds by itself."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word or the number. Raises BadParameter."""
        return value if value == "auto" else super().convert(value, param, ctx)


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


class Size(_ParamType):
    """A number of bytes, `least` or more, with a unit: 500K, 100M, 2G. A number alone is in bytes."""

    name = "size"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes. Raises BadParameter."""
        found = re.fullmatch(r"([0-9]{1,15})\s?([KMG]?)B?", str(value).strip(), re.IGNORECASE)
        size = int(found[1]) * _UNITS[found[2].upper()] if found else 0
        if size < self._least:
            self.fail(f"{value!r} is not {self.expected}", param, ctx)
        return size

    @property
    def expected(self) -> str:
        """Which values are allowed, to end `… is not`."""
        return f"a size of {self._least:,} bytes or more, such as 100M"


class Option(click.Option):
    """An option in a section of the help.

    An option with one value can also be set by a variable: KM_CLI_RATE for --rate. Flags and repeatable
    options have none, because a variable could neither unset the former nor hold a list.
    """

    def __init__(
        self,
        *arguments: Any,
        section: str,
        make_help: Callable[[], str] | None = None,
        **attributes: Any,
    ) -> None:
        """`make_help` makes the help when it is shown, if that takes long."""
        super().__init__(*arguments, **attributes)
        self._make_help = make_help
        self.section = section
        if not self.multiple and not self.is_flag:
            self.envvar = f"KM_CLI_{self.opts[-1].lstrip('-').replace('-', '_').upper()}"

    @property
    def cure_of_two(self) -> str:
        """What to do if the option is given twice."""
        if self.name not in _PERSONAS:
            return "give it once"
        return (
            f"give it once; for several columns, of which the first one that is not empty counts, write "
            f'[[personas]] in km.toml: name = "{self.name}", column = ["…", "…"]'
        )

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option as it is written, and its help."""
        if self._make_help:
            self.help = self._make_help()
        return super().get_help_record(ctx)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the option's variable in the command's Environment, not in the process's."""
        environment = ctx.find_object(Environment)
        return (environment.variables.get(str(self.envvar)) or None) if environment and self.envvar else None

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert a value to the option's type. Raises UsageError, which lists the values allowed."""
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter:
            from km_cli.cli.context import label_of

            see = f"see {ctx.command_path} --help"
            choices = self.type.choices if isinstance(self.type, click.Choice) else ()
            raise UsageError(
                f"{label_of(ctx, self)} {value!r} is not {_expected(self.type)}",
                did_you_mean(value, choices, see, also=f" {see}"),
            ) from None


def _expected(kind: object) -> str:
    """Return which values a type allows, to end `… is not`."""
    if isinstance(kind, click.Choice):
        return f"one of {', '.join(kind.choices)}"
    if isinstance(kind, click.IntRange):
        number = f"a whole number {_range(kind.min, kind.max)}"
        return f"auto or {number}" if isinstance(kind, AutoOrNumber) else number
    if isinstance(kind, click.FloatRange):
        return f"a number {'above' if kind.min_open else 'of at least'} {kind.min}"
    return kind.expected if isinstance(kind, Size) else "a valid value"


def _range(least: float | None, most: float | None) -> str:
    return f"of at least {least:,}" if most is None else f"from {least:,} to {most:,}"


class Command(click.Command):
    """A command whose help lists its options by section, and whose usage errors point to that help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Errors get the context that click sometimes leaves out.

        Raises UsageError for an option that is given twice although it has one value.
        """
        try:
            if not ctx.resilient_parsing:
                self._check_given_once(ctx, list(args))
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        if not ctx.resilient_parsing:
            from km_cli.cli.variables import warn_of_unknown_variables

            warn_of_unknown_variables(ctx)
        return rest

    def _check_given_once(self, ctx: click.Context, args: list[str]) -> None:
        """Raise UsageError for an option with one value that is given twice: one of the two would be lost."""
        _, _, order = self.make_parser(ctx).parse_args(args)
        for at, param in enumerate(order):
            if isinstance(param, Option) and not (param.multiple or param.is_flag) and param in order[:at]:
                raise UsageError(f"{param.opts[0]} is given twice", param.cure_of_two)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections in the order in which the command declares them, with `--help` in the last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        title = ""
        for param in self.get_params(ctx):
            title = param.section if isinstance(param, Option) else title
            if title and (record := param.get_help_record(ctx)):
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class Group(click.Group):
    """A command with commands of its own, whose error for an unknown one proposes the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return name, command and arguments. Raises UsageError for a command that does not exist."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            hint = did_you_mean(args[0], known, f"the commands are: {', '.join(known)};")
            raise UsageError(f"there is no command {args[0]!r}", f"{hint} see {ctx.command_path} --help")
        return super().resolve_command(ctx, args)


def option(*names: str, **attributes: Any) -> OptionInSection:
    """Declare an option. `section` puts it under a title."""
    return lambda title: click.option(*names, cls=Option, section=title, **attributes)


def section(title: str, *options: OptionInSection) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds the options to a command, under one title."""

    def decorate(command: Decorated) -> Decorated:
        for declared in reversed(options):
            command = declared(title)(command)
        return command

    return decorate
