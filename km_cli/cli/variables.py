"""Warns of variables that begin like those of km-cli and have no effect, because their names are misspelt."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import click

from km_cli.config.environment import Environment

_PREFIX = "KM_CLI_"
_OTHERS = ("KM_CLI_DEBUG", "KM_CLI_REQUIRE")
"""Variables that belong to no option. The tests read the second one."""


def warn_of_unknown_variables(ctx: click.Context) -> None:
    """Complain about variables with our prefix that set no option of any command.

    The other commands are imported only if the variables of this one do not explain all names.
    """
    environment = ctx.find_object(Environment)
    given = environment.variables if environment else ()
    own = {*_OTHERS, *_of(ctx.command)}
    unknown = [name for name in sorted(given) if name.startswith(_PREFIX) and name not in own]
    if not unknown:
        return
    from km_cli.cli.context import km_toml_of

    known = {*_of_all(ctx.find_root()), *(site.key_env for site in km_toml_of(ctx).config.sites.values())}
    for name in unknown:
        if name not in known:
            _warn(name, known)


def _warn(name: str, known: Collection[str]) -> None:
    from km_cli.cli.terminal.show import mention
    from km_cli.errors import did_you_mean

    ends = [one.removeprefix(_PREFIX) for one in known if one.startswith(_PREFIX)]
    mention(
        f"the variable {name} has no effect: it sets no option",
        did_you_mean(
            name.removeprefix(_PREFIX),
            ends,
            "remove it; the help of each command lists its options",
            _PREFIX.__add__,
        ),
    )


def _of(command: click.Command) -> Iterator[str]:
    """Yield the variables of a command's options."""
    yield from (param.envvar for param in command.params if isinstance(param.envvar, str))


def _of_all(root: click.Context) -> Iterator[str]:
    """Yield the variables of all commands."""
    if isinstance(root.command, click.Group):
        for name in root.command.list_commands(root):
            if command := root.command.get_command(root, name):
                yield from _of(command)
