"""An S3 store of this process's own: moto's server, asked over HTTP, which can be made to falter."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import boto3
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, SECRET, REGION = "AKIATEST", "not-to-be-seen", "us-east-1"

_SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""


class RealS3:
    """One store, with one empty bucket at the start.

    Attributes:
        address: where it answers.
        falter: asked with the number (from 1) of each request for an object or a list; if it says so, the
            answer is 503 SlowDown.
        asked: how many such requests there were.
        sent: bytes of the bodies of answers.
    """

    bucket = "telco"

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.address = ("127.0.0.1", self._server.server_port)
        self.falter: Callable[[int], bool] = lambda _: False
        self.asked = self.sent = 0
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name=REGION,
        )
        self.client.create_bucket(Bucket=self.bucket)

    @property
    def endpoint(self) -> str:
        """Its address as a URL."""
        return f"http://{self.address[0]}:{self.address[1]}"

    def put(self, key: str, data: bytes) -> str:
        """Store an object; gives its ``s3://`` address."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)
        return f"s3://{self.bucket}/{key}"

    def close(self) -> None:
        """End."""
        self.client.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ, start_response):
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            self.asked += 1
            if self.falter(self.asked):
                start_response("503 Slow Down", [("Content-Type", "application/xml")])
                return [_SLOW_DOWN]
        return self._counted(self._app(environ, start_response))

    def _counted(self, pieces):
        for piece in pieces:
            self.sent += len(piece)
            yield piece


class _Quiet(MotoRequestHandler):
    def log(self, *_) -> None:
        """Say nothing."""
