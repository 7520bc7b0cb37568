"""Keeps calls in the store from a thread of its own, many in one transaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, Final, NamedTuple

from km_cli.standin import Store

_MOST_AT_ONCE: Final = 500

Work = tuple[str, bytes] | Callable[[Store], Any]
"""A call to keep, as its path with the query and its form body, or a function that changes the store."""


class _Task(NamedTuple):
    """Work that waits; the future is done after the commit."""

    work: Work
    done: asyncio.Future[Any]

    @property
    def is_call(self) -> bool:
        return isinstance(self.work, tuple)


class Writer:
    """The one thread that writes to the store. `committed` is called in the event loop after each commit."""

    def __init__(self, store: Store, committed: Callable[[], None]) -> None:
        self._store = store
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._tasks: list[_Task] = []
        self._is_closed = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="km-cli serve, writer", daemon=True)
        self._thread.start()

    async def do(self, work: Work) -> Any:
        """Do the work and return the result of a function. Raises what the store raises: nothing was kept."""
        done: asyncio.Future[Any] = self._loop.create_future()
        with self._news:
            self._tasks.append(_Task(work, done))
            self._news.notify()
        return await done

    async def close(self) -> None:
        """Do the work that waits, and end the thread."""
        with self._news:
            self._is_closed = True
            self._news.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while tasks := self._take():
            for are_calls, group in groupby(tasks, key=lambda task: task.is_call):
                if are_calls:
                    self._keep(list(group))
                else:
                    for task in group:
                        self._change(task)

    def _take(self) -> list[_Task]:
        """Return the tasks that wait, the oldest first; none if the writer is closed and all is done."""
        with self._news:
            self._news.wait_for(lambda: self._tasks or self._is_closed)
            taken, self._tasks = self._tasks[:_MOST_AT_ONCE], self._tasks[_MOST_AT_ONCE:]
            return taken

    def _keep(self, tasks: list[_Task]) -> None:
        try:
            self._store.receive(task.work for task in tasks if isinstance(task.work, tuple))
        except Exception as error:  # noqa: BLE001 - raised again by those who wait
            self._settle(tasks, error)
        else:
            self._settle(tasks, None)

    def _change(self, task: _Task) -> None:
        assert callable(task.work)
        try:
            result = task.work(self._store)
        except Exception as error:  # noqa: BLE001 - as above
            self._settle([task], error)
        else:
            self._settle([task], None, result)

    def _settle(self, tasks: Iterable[_Task], error: Exception | None, result: object = None) -> None:
        self._loop.call_soon_threadsafe(self._tell, tasks, error, result)

    def _tell(self, tasks: Iterable[_Task], error: Exception | None, result: object) -> None:
        for _, done in tasks:
            if done.done():  # whoever waited was cancelled: the connection is gone
                continue
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)
        self._committed()
