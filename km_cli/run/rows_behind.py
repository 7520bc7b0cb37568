"""The rows of a file behind its first ones, which are read once more to compare them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from km_cli.errors import InputError, ReadError
from km_cli.inputs import Opened, open_reader
from km_cli.model import Row


def rows_behind(opened: Opened, skipped: int, most: int, check: Callable[[], None]) -> Iterator[Row]:
    """Yield the rows of a file behind the first `skipped` ones, of its first `most` rows.

    An input that cannot be read twice has none. `check` is called now and then, and may raise.
    """
    if opened.source.stamp is None or most <= skipped:
        return
    try:
        with closing(open_reader(opened.source)) as again:
            for at, item in enumerate(again.reader().items()):
                if at >= most:
                    return
                if at % 1000 == 0:
                    check()
                if at >= skipped and type(item) is Row:
                    yield item
    except (InputError, ReadError):
        return  # The import itself meets the error again and reports it.
