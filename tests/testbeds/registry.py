"""A real (small) registry of images on this machine."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PLAIN = range(21_000, 21_032)
"""Ports of this machine where a registry may be without TLS, which Podman takes from none that it isn't told of."""


class Registry(ThreadingHTTPServer):
    """Serves one image, by the Docker Registry HTTP API V2."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Pulls)
        self.port = self.server_address[1]
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            entry = tarfile.TarInfo("greeting")
            entry.size = 200_000
            tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
        packed, plain = gzip.compress(layer.getvalue()), layer.getvalue()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
        }
        of_config = json.dumps(config).encode()
        self.blobs = {digest(packed): packed, digest(of_config): of_config}
        kind = "application/vnd.docker."
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": kind + "distribution.manifest.v2+json",
                "config": about(kind + "container.image.v1+json", of_config),
                "layers": [about(kind + "image.rootfs.diff.tar.gzip", packed)],
            }
        ).encode()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def about(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}


class Pulls(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        status, kind, body = 200, "application/octet-stream", b"{}"
        parts = self.path.strip("/").split("/")
        if parts[-2:-1] == ["manifests"] and parts[1] == "greeting":
            kind, body = "application/vnd.docker.distribution.manifest.v2+json", self.server.manifest
        elif parts[-2:-1] == ["blobs"] and parts[-1] in self.server.blobs:
            body = self.server.blobs[parts[-1]]
        elif parts != ["v2"]:
            status, body = 404, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", digest(body))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(ports: range) -> Iterator[Registry]:
    """One that serves on the first of these ports that is free; 0 is any."""
    server = _first(ports)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _first(ports: range) -> Registry:
    for port in ports:
        try:
            return Registry(port)
        except OSError:
            continue  # somebody else's
    raise AssertionError(f"no port of {ports} is free")
