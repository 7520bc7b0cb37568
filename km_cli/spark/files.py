"""Small files of the receipts folder: read, created once, replaced and removed, here or on a cluster.

The program that runs a job (the driver) reaches any path that Hadoop knows (`HadoopFiles`). The processes in
which tasks run have no Java at hand, so they write by pyarrow (`ArrowFiles`). A folder of this machine, and
one that is mounted on all machines, needs neither (`LocalFiles`).
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from km_cli.durable import make_folder, sync, sync_tree
from km_cli.errors import KmError, UsageError, WriteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_ARROW_SCHEMES = {"s3a": "s3", "s3n": "s3"}
"""Names that Hadoop has for a storage, and those that pyarrow has for it."""


_SHARED = 0o777
"""Tasks may run as other users, so that the umask decides who may write into the folders."""


class Exists(Exception):
    """The file is there already."""


class TaskFiles(Protocol):
    """All that a task needs: its files are new ones, so that none of them can be half of an older one."""

    def exists(self, path: str) -> bool:
        """Tell whether there is a file."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Write a file as a whole, in place of an older one. Raises WriteError."""
        ...


class Files(TaskFiles, Protocol):
    """All that the driver needs."""

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None if there is none. Raises KmError."""
        ...

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, none if there is no such folder. Raises KmError."""
        ...

    def create(self, path: str, content: bytes) -> None:
        """Write a new file; only one of several writers succeeds. Raises Exists, WriteError."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file or a folder with all that is in it, if it is there. Raises WriteError."""
        ...

    def sync(self, path: str) -> None:
        """Make a folder that Spark has written durable, with all that is in it. Raises WriteError."""
        ...


def is_local(path: str) -> bool:
    """Tell whether a path is of this machine: without a scheme, or with `file:`."""
    found = _SCHEME.match(path)
    return found is None or found[1].lower() == "file"


def local_path(path: str) -> Path:
    """Return the path of a local file, which may be written as `file:/…` or `file:///…`."""
    if _SCHEME.match(path) is None:
        return Path(path)
    rest = unquote(path.partition(":")[2])
    return Path(re.sub("^/+", "/", rest))


class LocalFiles:
    """Files of this machine, or of a folder that all machines have mounted."""

    def exists(self, path: str) -> bool:
        """Tell whether there is a file."""
        return local_path(path).exists()

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None if there is none."""
        try:
            return local_path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed("read", path, error) from None

    def names(self, path: str) -> list[str]:
        """Return the names in a folder."""
        try:
            return sorted(os.listdir(local_path(path)))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _failed("read", path, error) from None

    def create(self, path: str, content: bytes) -> None:
        """Write the file under another name, and link it to its own: a link never replaces a file."""
        self._place(path, content, os.link)

    def write(self, path: str, content: bytes) -> None:
        """Write the file under another name, and rename it."""
        self._place(path, content, os.replace)

    def remove(self, path: str) -> None:
        """Remove a file or a folder."""
        target = local_path(path)
        try:
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
        except OSError as error:
            raise _failed("remove", path, error) from None

    def sync(self, path: str) -> None:
        """Sync each file and folder: Spark leaves that to the disk."""
        try:
            sync_tree(local_path(path))
            sync(local_path(path).parent.parent)
        except OSError as error:
            raise _failed("write", path, error) from None

    def _place(self, path: str, content: bytes, place: Callable[[Path, Path], None]) -> None:
        target = local_path(path)
        draft = target.with_name(f".{target.name}.{token_hex(8)}")
        try:
            make_folder(target.parent, _SHARED)
            draft.write_bytes(content)
            sync(draft)
        except OSError as error:
            raise _failed("write", path, error) from None
        try:
            place(draft, target)
            sync(target.parent)
        except FileExistsError:
            raise Exists(path) from None
        except OSError as error:
            raise _failed("write", path, error) from None
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def _failed(verb: str, path: str, error: OSError) -> KmError:
    return WriteError(
        f"cannot {verb} {path}: {error.strerror or error}",
        "check the path of --receipts, its rights and the space on its disk; then run the same command again",
    )


class ArrowFiles:
    """Files of an object store or of HDFS, by pyarrow: an object appears as a whole when it is closed."""

    def __init__(self, path: str) -> None:
        """Raises UsageError if pyarrow knows no such storage, or cannot reach it with what it finds."""
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem

        try:
            self._system, _ = FileSystem.from_uri(_arrow_uri(path))
        except (ArrowException, OSError, ValueError) as error:
            raise UsageError(
                f"tasks cannot write to {path}: {_first_line(error)}",
                "give --receipts a path that pyarrow can write to: a folder that all machines have mounted, "
                "s3a://, gs:// or hdfs://",
            ) from None

    def exists(self, path: str) -> bool:
        """Tell whether there is a file."""
        from pyarrow.fs import FileType

        return bool(self._system.get_file_info(self._path(path)).type != FileType.NotFound)

    def write(self, path: str, content: bytes) -> None:
        """Write the object."""
        try:
            with self._system.open_output_stream(self._path(path)) as stream:
                stream.write(content)
        except OSError as error:
            raise _failed("write", path, error) from None

    def _path(self, path: str) -> str:
        return str(self._system.normalize_path(_arrow_uri(path).partition("://")[2]))


def _arrow_uri(path: str) -> str:
    scheme, _, rest = path.partition("://")
    return f"{_ARROW_SCHEMES.get(scheme, scheme)}://{rest}"


def task_files(path: str) -> TaskFiles:
    """Return the files of a receipts folder, for a task. Raises UsageError if a task cannot write there."""
    return LocalFiles() if is_local(path) else ArrowFiles(path)


def driver_files(path: str, spark: SparkSession) -> Files:
    """Return the files of a receipts folder, for the driver."""
    return LocalFiles() if is_local(path) else HadoopFiles(spark)


class HadoopFiles:
    """Files of any storage that Spark's Hadoop knows, with the rights and keys that Spark has for it."""

    def __init__(self, spark: SparkSession) -> None:
        self._jvm: Any = spark._jvm
        self._configuration = spark._jsc.hadoopConfiguration()

    def exists(self, path: str) -> bool:
        """Tell whether there is a file."""
        place, system = self._find(path)
        return bool(system.exists(place))

    def read(self, path: str) -> bytes | None:
        """Return the content of a file."""
        place, system = self._find(path)
        if not system.exists(place):
            return None
        return bytes(self._tried("read", path, lambda: self._content(system.open(place))))

    def names(self, path: str) -> list[str]:
        """Return the names in a folder."""
        place, system = self._find(path)
        if not system.exists(place):
            return []
        found = self._tried("read", path, lambda: system.listStatus(place))
        return sorted(one.getPath().getName() for one in found)

    def create(self, path: str, content: bytes) -> None:
        """Write a new file. HDFS lets one of several writers create it; see the page for object stores."""
        place, system = self._find(path)
        if system.exists(place):
            raise Exists(path)
        draft, _ = self._find(f"{path}.{token_hex(8)}.draft")
        self._tried("write", path, lambda: self._write(system.create(draft, False), content))
        try:
            renamed = self._tried("write", path, lambda: system.rename(draft, place))
            if not renamed:
                raise Exists(path)
        finally:
            system.delete(draft, False)

    def write(self, path: str, content: bytes) -> None:
        """Write a file, in place of an older one."""
        place, system = self._find(path)
        self._tried("write", path, lambda: self._write(system.create(place, True), content))

    def remove(self, path: str) -> None:
        """Remove a file or a folder."""
        place, system = self._find(path)
        self._tried("remove", path, lambda: system.delete(place, True))

    def sync(self, path: str) -> None:
        """Do nothing: what Spark has written to HDFS or to an object store is as durable as it makes it."""

    def _find(self, path: str) -> tuple[Any, Any]:
        place = self._jvm.org.apache.hadoop.fs.Path(path)
        return place, self._tried("reach", path, lambda: place.getFileSystem(self._configuration))

    def _content(self, stream: Any) -> bytes:
        try:
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream))
        finally:
            stream.close()

    @staticmethod
    def _write(stream: Any, content: bytes) -> None:
        try:
            stream.write(bytearray(content))
        finally:
            stream.close()

    @staticmethod
    def _tried(verb: str, path: str, step: Callable[[], Any]) -> Any:
        from py4j.protocol import Py4JJavaError

        try:
            return step()
        except Py4JJavaError as error:
            reason = str(error.java_exception.getMessage() or error.java_exception.getClass().getName())
            raise WriteError(
                f"cannot {verb} {path}: {_first_line(reason)}",
                "check the path of --receipts, and that Spark may write there",
            ) from None


def _first_line(error: object) -> str:
    return str(error).partition("\n")[0]
