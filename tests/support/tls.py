"""A TLS server before a tracker, with certificates that are right or wrong in one way each."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import warnings
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.patience import PATIENCE


class Authority:
    """A certificate authority of our own, in a folder: `path` is its certificate."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs openssl to make certificates")
        self._folder = folder
        self.path = folder / "ca.pem"
        self._openssl("req", "-x509", *_NEW_KEY, "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key",
                      "-out", "ca.pem")  # fmt: skip

    def certificate(self, name: str = "IP:127.0.0.1", days: int = 2) -> Path:
        """Return a new certificate for a name, with its key. With -1 day it has expired."""
        (self._folder / "names").write_text(f"subjectAltName={name}\n")
        self._openssl("req", *_NEW_KEY, "-subj", "/CN=tracker", "-keyout", "both.pem", "-out", "request")
        self._openssl("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-days", str(days), "-extfile", "names",
                      "-out", "certificate")  # fmt: skip
        both = self._folder / "both.pem"
        both.write_text(both.read_text() + (self._folder / "certificate").read_text())
        return both

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self._folder, check=True, capture_output=True)


_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")


class Door:
    """Accepts TLS connections, and passes their bytes on to a port of this machine and back.

    `heard` has what came out of the encryption: nothing, if no client trusted the door.
    """

    def __init__(self, certificate: Path, port: int, version: ssl.TLSVersion | None = None) -> None:
        """`version`, if given, is the newest version of TLS that the door speaks."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        if version is not None:
            self._context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of what is tested here.
                self._context.minimum_version = ssl.TLSVersion.TLSv1
                self._context.maximum_version = version
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._listen)]
        self.heard = bytearray()

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _listen(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(raw,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        with raw:
            try:
                with self._context.wrap_socket(raw, server_side=True) as peer:
                    self._pass_on(peer)
            except OSError:
                return

    def _pass_on(self, peer: ssl.SSLSocket) -> None:
        """Pass requests without a body on, one after the other, and their answers back."""
        with socket.create_connection(("127.0.0.1", self._port)) as tracker:
            while asked := peer.recv(65_536):
                self.heard += asked
                tracker.sendall(asked)
                if asked.endswith(b"\r\n\r\n"):
                    peer.sendall(tracker.recv(65_536))
