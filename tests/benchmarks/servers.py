"""The servers that calls are sent to, each in a process of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/bodies;
    client_max_body_size 100m;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{ empty_gif; }}
        location /import {{ return 200 '{{"code": 200}}'; }}
    }}
}}
"""


@contextmanager
def late_server(milliseconds: float) -> Iterator[str]:
    """Start a server whose answers take so long; yield its URL."""
    words = [sys.executable, "-m", "tests.benchmarks.late", str(milliseconds)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


@contextmanager
def fast_server(folder: Path) -> Iterator[tuple[str, str]]:
    """Start nginx, or a small server where there is no nginx; yield its URL and its name."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
    if nginx is None:
        with late_server(0) as url:
            yield url, "a small server in Python (nginx is not installed)"
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port), encoding="utf-8")
    with subprocess.Popen([nginx, "-e", folder / "errors", "-c", config]) as server:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}", "nginx"
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10.0
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
