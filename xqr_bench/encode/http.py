"""Requests to an API over HTTP: bounded in time and size, made again where that can help, and silent about the key.

urllib, as for downloads (`tasks/sources.py`): it knows the proxies of the environment and the certificates of the
system, and is there. The clients that other packages bring (requests, httpx, which became httpx2) come and go with
these, and requests sends what a .netrc has. A connection for each request is the price: a round trip or two, beside
those of the other lanes.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from xqr_bench import __version__
from xqr_bench.core import strict_json
from xqr_bench.core.errors import EncoderError
from xqr_bench.core.printable import shown_line

if TYPE_CHECKING:
    from http.client import HTTPResponse

TIMEOUT_SECONDS = 300.0
"""For a connection, for anything to come, and for the whole answer; a slow server has several batches at once."""
PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""The waits between attempts, each up to half as long again by chance: one attempt more than there are waits."""
MOST_TIMEOUTS = 2
LONGEST_PAUSE = 300.0
"""What a server may ask for by Retry-After."""
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_MOST_OF_ERROR = 1 << 16
_MOST_SHOWN = 300
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Answer:
    """What a server answered, of whatever status.

    Attributes:
        status: of HTTP.
        body: all of it; of an error what was read of it.
        headers: by names in small letters.
        attempts: how often it was asked.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    attempts: int = 1

    @property
    def pause(self) -> float:
        """Seconds that the server wants to be left alone (Retry-After, in seconds or as a date); 0: it does not say."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            from email.utils import parsedate_to_datetime

            then = parsedate_to_datetime(text)
        except (TypeError, ValueError, IndexError):
            return 0.0
        return max(((then if then.tzinfo else then.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds(), 0.0)

    @property
    def final(self) -> bool:
        """Whether asking again cannot help, or not soon."""
        return self.status not in TRANSIENT or self.pause > LONGEST_PAUSE or b"insufficient_quota" in self.body


class _BrokenError(Exception):
    """A failure that another attempt may not meet."""


class _UnreachableError(_BrokenError):
    """There was no connection."""


class Http:
    """Asks one server; threads may share it.

    Args:
        address: what all paths stand below.
        header: the header that the key is sent in.
        key: a secret that no message repeats; None: no key is sent.

    Attributes:
        requests, retries, sent, received: how often it was asked, how often of these again, and bytes of bodies.
    """

    def __init__(self, address: str, header: str, key: str | None) -> None:
        self.requests = self.retries = self.sent = self.received = 0
        self._address = address
        self._key = key
        self._headers = {"User-Agent": f"xqr-bench/{__version__}", "Accept": "application/json"}
        if key is not None:
            self._headers[header] = f"Bearer {key}" if header == "Authorization" else key
        self._counting = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the waiting of all threads: nothing is asked again."""
        self._stopped.set()

    def ask(self, path: str, content: bytes | None, most: int) -> Answer:
        """Post content, and again after a failure that may pass; or get, once, what is there where it is None.

        Args:
            path: below the address.
            content: JSON.
            most: bytes that an answer may have.

        Raises:
            EncoderError: there is no answer, or one that is larger.
        """
        timeouts = 0
        pauses = () if content is None else PAUSES_SECONDS
        for attempt, pause in enumerate((*pauses, None), 1):
            wait = 0.0
            try:
                answer = self._ask_once(path, content, most, attempt)
                if answer.final or pause is None:
                    return answer
                wait = answer.pause
            except _BrokenError as error:
                timeouts += isinstance(error.__cause__, TimeoutError)
                never = isinstance(error, _UnreachableError) and not self.received  # a wrong address, most likely
                if pause is None or timeouts == MOST_TIMEOUTS or never:
                    raise self._no_answer(path, error, attempt) from None
            if self._wait(max(wait, pause * random.SystemRandom().uniform(1.0, 1.5))):
                raise EncoderError(f"{self._address} is not asked again: the run was stopped")
        raise AssertionError

    def _wait(self, seconds: float) -> bool:
        """Wait; returns at once whether all was stopped."""
        return self._stopped.wait(seconds)

    def _ask_once(self, path: str, content: bytes | None, most: int, attempt: int) -> Answer:
        import http.client
        import ssl
        import urllib.error
        from urllib.request import Request

        with self._counting:
            self.requests += 1
            self.retries += attempt > 1
            self.sent += len(content or b"")
        headers = self._headers if content is None else {**self._headers, "Content-Type": "application/json"}
        until = time.monotonic() + TIMEOUT_SECONDS
        try:
            with _opener().open(Request(self._address + path, content, headers), timeout=TIMEOUT_SECONDS) as response:
                body = self._read(response, most, until)
                named = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, body, named, attempt)
        except urllib.error.URLError as error:
            reason = error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason))
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise EncoderError(
                    f"the certificate of {self._address} is not trusted",
                    found=self.clean(str(reason.verify_message)),
                    remedy="install the certificates of your system or proxy (SSL_CERT_FILE names a bundle)",
                ) from None
            kind = _BrokenError if isinstance(reason, ConnectionResetError) else _UnreachableError
            raise kind(_reason(reason)) from reason
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(_reason(error)) from error
        except ValueError as error:  # a host that no name server knows how to ask for
            raise _UnreachableError(_reason(error)) from error

    def _read(self, response: HTTPResponse, most: int, until: float) -> bytes:
        parts, size = [], 0
        if response.status != 200:
            most = _MOST_OF_ERROR
        while size <= most and (part := response.read1(_CHUNK)):
            parts.append(part)
            size += len(part)
            if time.monotonic() > until:
                raise TimeoutError
        with self._counting:
            self.received += size
        if size > most and response.status == 200:
            raise EncoderError(
                f"the answer of {self._address} is larger than vectors of these texts can be",
                found=f"more than {most:,} bytes",
                remedy="check the address and --provider",
            )
        if size <= most and response.length:
            raise ConnectionResetError(None, f"the connection ended after {size:,} of {size + response.length:,} bytes")
        return b"".join(parts)

    def _no_answer(self, path: str, error: _BrokenError, attempts: int) -> EncoderError:
        import ssl

        cause = error.__cause__
        found: str | None = self.clean(str(error))
        if isinstance(cause, ssl.SSLError):
            problem = f"there is no secure connection to {self._address}"
            remedy = "if the server speaks plain HTTP, write http://"
        elif isinstance(error, _UnreachableError):
            problem = f"{self._address} cannot be reached"
            remedy = "check that the server runs there, the address, and the proxy that the environment names"
        elif isinstance(cause, TimeoutError):
            problem = f"{self._address}{path} did not answer within {TIMEOUT_SECONDS:g} s"
            found, remedy = None, "check that the server is not overloaded; give a smaller --batch-size"
        else:
            problem = f"{self._address}{path} broke the connection off"
            remedy = "look at the server's log; give a smaller --batch-size if it runs out of memory"
        times = "" if attempts == 1 else f" ({attempts} attempts)"
        return EncoderError(problem + times, found=found, remedy=remedy)

    def clean(self, text: str) -> str:
        """Text of a server fit to be shown: one line, cut, without what steers a terminal, and without the key."""
        if self._key is not None:
            text = text.replace(self._key, "[key]")
        line = shown_line(" ".join(text.split()))
        return line if len(line) <= _MOST_SHOWN else line[: _MOST_SHOWN - 1] + "…"

    def message(self, answer: Answer) -> str:
        """What an error says, without the JSON around it."""
        text = answer.body.decode("utf-8", "replace")
        try:
            value = strict_json.parse(text)
        except ValueError:
            value = text
        for _ in range(3):
            if isinstance(value, dict):
                value = next((value[key] for key in ("error", "message", "detail") if value.get(key)), value)
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return self.clean(shown) or "an empty body"


def _opener() -> Any:
    """Opens without following redirects: a key is for the host that was named. Any status is an answer."""
    from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler

    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"the name of the host is not known ({error.strerror})"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
