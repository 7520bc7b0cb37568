"""Files that are no logs, as the programs that make them write them: name → bytes, what is said, the cure."""

from __future__ import annotations

import gzip
import io
import sqlite3
import tarfile
import zipfile

from tests.support.packing import PACKS

LOG = b"user,account,event,timestamp,plan\nada,Acme,In,1704067200,pro\n"

_EXPORT = "as CSV or JSON lines"
_OTHER = "name the file with the events"


def zipped(*names: str) -> bytes:
    """Return a zip archive in which each of these names has a log."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), LOG)
    return file.getvalue()


def tarred() -> bytes:
    """Return a tar archive of one log."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("log.csv")
        member.size = len(LOG)
        archive.addfile(member, io.BytesIO(LOG))
    return file.getvalue()


def database() -> bytes:
    """Return an SQLite database with a table."""
    made = sqlite3.connect(":memory:")
    made.execute("CREATE TABLE events (user TEXT)")
    content = made.serialize()
    made.close()
    return content


FOREIGN: dict[str, tuple[bytes, str, str]] = {
    "log.zip": (zipped("log.csv"), "is a zip archive", "log.zip | km-cli import -"),
    "empty.zip": (zipped(), "is a zip archive", "unzip -p "),
    "log.tar": (tarred(), "is a tar archive", "tar -xOf "),
    "log.tar.gz": (gzip.compress(tarred(), mtime=0), "is a tar archive", "tar -xOf "),
    "log.xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "is an Office document", _EXPORT),
    "log.ods": (
        zipped("mimetype").replace(b"mimetype", b"mimetypeapplication/vnd.oasis", 1),
        "is an Office document",
        _EXPORT,
    ),
    "log.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "is an Office document", _EXPORT),
    "log.7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24), "is a 7z archive", "7z e -so "),
    "log.rar": (b"Rar!\x1a\x07\x01\0" + bytes(24), "is a rar archive", "unrar p -inul "),
    "log.csv.lz4": (b"\x04\x22\x4d\x18\x64\x40\xa7" + bytes(9), "is packed by lz4", "lz4 -dc "),
    "log.csv.lz": (b"LZIP\x01\x0c" + bytes(30), "is packed by lzip", "lzip -dc "),
    "log.csv.Z": (b"\x1f\x9d\x90" + bytes(30), "is packed by compress", "gzip -dc "),
    "log.parquet.gz": (
        gzip.compress(b"PAR1\x15\x04\x15\x10" + bytes(30) + b"PAR1", mtime=0),
        "is a packed Parquet file",
        "unpack it",
    ),
    "log.parquet": (b"PARE\x15\x04\x15\x10" + bytes(30) + b"PARE", "is an encrypted Parquet file", "decrypt"),
    "log.csv.lz4.gz": (
        gzip.compress(b"\x04\x22\x4d\x18\x64\x40\xa7" + bytes(9), mtime=0),
        "is packed by lz4",
        "log.csv.lz4.gz | lz4 -dc | km-cli import -",
    ),
    "twice.csv.gz": (
        gzip.compress(gzip.compress(LOG, mtime=0), mtime=0),
        "is packed twice by gzip",
        "twice.csv.gz | gzip -dc | km-cli import -",
    ),
    "bz2-in-zst.csv.zst": (
        PACKS["zst"](PACKS["bz2"](LOG)),
        "is packed by bzip2, and that by zstd",
        "bz2-in-zst.csv.zst | bzip2 -dc | km-cli import -",
    ),
    "zst-in-gz": (
        gzip.compress(PACKS["zst"](LOG), mtime=0),
        "is packed by zstd, and that by gzip",
        "zst-in-gz | zstd -dc | km-cli import -",
    ),
    "gz-in-xz.jsonl": (
        PACKS["xz"](gzip.compress(LOG, mtime=0)),
        "is packed by gzip, and that by xz",
        "gz-in-xz.jsonl | gzip -dc | km-cli import -",
    ),
    "log.arrow": (b"ARROW1\0\0\xff\xff\xff\xff" + bytes(30), "is an Arrow file", _EXPORT),
    "log.avro": (b"Obj\x01\x04\x16avro.schema" + bytes(30), "is an Avro file", _EXPORT),
    "log.sqlite": (database(), "is an SQLite database", "sqlite3 -header -csv "),
    "log.pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "is a PDF document", _OTHER),
    "log.png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17), "is a picture", _OTHER),
    "log.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(17), "is a picture", _OTHER),
    "log.gif": (b"GIF89a\1\0\1\0\x80\0\0" + bytes(17), "is a picture", _OTHER),
    "log.html": (b"\xef\xbb\xbf\n<!DOCTYPE html>\n<title>Log in</title>\n", "is a web page", _OTHER),
    "log.xml": (b'<?xml version="1.0"?>\n<events/>\n', "is an XML document", _EXPORT),
}
