"""Finds the object that holds the properties of a nested log."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from km_cli.inference.words import plain

_CLEAR = ("event_properties", "properties", "event_params", "props", "attributes", "parameters", "params")
_NAMES = (*_CLEAR, "payload", "data")
"""Usual names of such an object, the clearest first. The clear ones may also stand in another object."""


def object_of_properties(nested: Mapping[str, Collection[str]]) -> str:
    """Return the path of the one object that holds the properties, "" if there is none.

    `nested` are the paths of the values in each member of the rows that holds JSON. An object whose only
    member is an object stands for that one: `data.object`. All of its members must be plain values: in an
    object that has objects of its own, most members belong to other things.
    """
    found = {
        name: path for top, paths in nested.items() if (name := plain(top)) and (path := _inner(top, paths))
    }
    found = _inside(nested) | found
    return next((found[name] for name in _NAMES if name in found), "")


def _inside(nested: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the members of objects that have a clear name and plain values only, by that name.

    Deeper ones belong to other things, such as the session of a user.
    """
    found: dict[str, str] = {}
    for top, paths in nested.items():
        for path in sorted({name.rpartition(".")[0] for name in paths if name.startswith(f"{top}.")}):
            outer, _, name = path.rpartition(".")
            if outer == top and plain(name) in _CLEAR and _inner(path, paths) == path:
                found.setdefault(plain(name), path)
    return found


def _inner(top: str, paths: Collection[str]) -> str:
    """Return the innermost object that holds all values of a member, "" if it has objects of its own."""
    path = top
    while True:
        rests = {name[len(path) + 1 :] for name in paths if name.startswith(f"{path}.")}
        if not rests:
            return ""
        if not any("." in rest for rest in rests):
            return path
        first = {rest.partition(".")[0] for rest in rests}
        if len(first) > 1:
            return ""
        path = f"{path}.{first.pop()}"
