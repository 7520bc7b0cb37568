"""The storage that a name belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from km_cli.inputs.storage.base import Storage
from km_cli.inputs.storage.local import Local
from km_cli.object_address import is_address

if TYPE_CHECKING:
    from km_cli.inputs.storage.objects import Objects

_LOCAL = Local()


class _Opened:
    """The object store of this command, from its first use on."""

    objects: Objects | None = None


def storage_of(name: str) -> Storage:
    """Return the storage of a file's name or pattern.

    The object store is imported and opened when it is first used, since most commands have no use for it.
    """
    if not is_address(name):
        return _LOCAL
    if _Opened.objects is None:
        from km_cli.inputs.storage.objects import open_objects

        _Opened.objects = open_objects()
    return _Opened.objects


def close_storages() -> None:
    """Close the connections to object stores. The next use opens new ones."""
    opened, _Opened.objects = _Opened.objects, None
    if opened is not None:
        opened.close()
