"""Resend's API on the wire, on a bad day: it works, then says 429, then 500, then nothing, then refuses the key."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_SECONDS = 60.0


class FirstProvider:
    """`moods` follow each other, each for so many requests; the last one stays."""

    def __init__(self, moods: list[tuple[str, int]]) -> None:
        self.taken: Counter[str] = Counter()  # by Idempotency-Key, the message's id
        self.told: Counter[str] = Counter()  # by mood
        self._moods = moods
        self._lock = threading.Lock()
        self._over = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(200)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                mood = provider.next_mood()
                if mood == "hangs":
                    provider.wait()
                    self.close_connection = True
                    return
                if mood == "works":
                    provider.take(self.headers["Idempotency-Key"])
                    self._answer(200, {"id": "r-" + self.headers["Idempotency-Key"]})
                    return
                status, name = {
                    "throttles": (429, "rate_limit_exceeded"),
                    "fails": (500, "internal_server_error"),
                    "refuses the key": (403, "invalid_api_key"),
                }[mood]
                self._answer(status, {"name": name, "message": mood}, {"Retry-After": "1"} if status == 429 else {})

            def log_message(self, *_: object) -> None:
                pass

            def _answer(
                self, status: int, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
            ) -> None:
                content = json.dumps(body or {}).encode()
                self.send_response(status)
                for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def next_mood(self) -> str:
        """For one more request."""
        with self._lock:
            mood, left = self._moods[0]
            if len(self._moods) > 1:
                self._moods[:1] = [(mood, left - 1)] if left > 1 else []
            self.told[mood] += 1
            return mood

    def take(self, message_id: str) -> None:
        """A second request under the same key sends nothing, as with the real one."""
        with self._lock:
            self.taken[message_id] = 1

    def wait(self) -> None:
        """Say nothing."""
        self._over.wait(HANG_SECONDS)

    def stop(self) -> None:
        """Close every connection."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
