"""Download one file by HTTP: at most so many bytes, in at most so much time, whatever the server sends."""

from __future__ import annotations

import errno
import http.client
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from tickets.data.contents import PIECE
from tickets.errors import InputError
from tickets.version import __version__

_REDIRECTS = 5
_OF_THIS_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # errors that are not the server's
_MOVED = (301, 302, 303, 307, 308)
_AGAIN = "check the network and run the command again, or name a mirror with --base-url"


@dataclass(frozen=True)
class Limits:
    """How long a download may take.

    Attributes
    ----------
    stall_seconds
        The longest wait for a connection, and for the next bytes.
    extra_seconds
        The time that a download of any size may take.
    bytes_per_second
        The lowest speed: a file may take `extra_seconds` and its size divided by this. Slower servers are given up.
    """

    stall_seconds: float = 30
    extra_seconds: float = 60
    bytes_per_second: float = 50_000

    def seconds(self, size: int) -> float:
        """The longest time for a file of `size` bytes."""
        return self.extra_seconds + size / self.bytes_per_second


LIMITS = Limits()


def transfer(url: str, target: Path, size: int, limits: Limits, update: Callable[[int], None]) -> None:
    """Download a file.

    Redirects are followed to http and https addresses only, and never from https to http. Proxies are taken from the
    environment.

    Parameters
    ----------
    url
        The address, http or https.
    target
        The new file.
    size
        The number of bytes that the file must have. No more are read.
    limits
        How long it may take.
    update
        Called with the number of bytes of each piece that has arrived, in another thread.

    Raises
    ------
    InputError
        If the file cannot be downloaded, has another size, or takes too long.
    OSError
        If `target` cannot be written, or this machine has no file descriptor or memory left.
    """
    # In a thread, because a server can keep a handshake or its headers going for ever, a byte at a time, and no
    # time-out of the socket ends that. A thread that is given up does not keep the process from ending.
    ended, given_up = threading.Event(), threading.Event()
    failures: list[BaseException] = []
    arrived = 0

    def receive() -> None:
        nonlocal arrived
        try:
            with target.open("xb") as file:
                for piece in _pieces(url, size, limits.stall_seconds):
                    if given_up.is_set():
                        return
                    file.write(piece)
                    arrived += len(piece)
                    update(len(piece))
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    threading.Thread(target=receive, daemon=True).start()
    began = time.monotonic()
    try:
        in_time = ended.wait(limits.seconds(size))
    finally:
        given_up.set()
    if not in_time:
        raise InputError(
            f"{url}: the download is too slow: {arrived:,} of {size:,} bytes in {time.monotonic() - began:.0f} s; "
            "run the command again, or name a faster mirror with --base-url"
        )
    if failures:
        raise failures[0]


def _pieces(url: str, size: int, stall_seconds: float) -> Iterator[bytes]:
    """The bytes of a file. Raises InputError for whatever goes wrong in the network."""
    try:
        with closing(_answer(url, stall_seconds)) as answer:
            promised = answer.length  # None if the server does not say
            if promised is not None and promised != size:
                raise InputError(
                    f"{url}: has {promised:,} bytes; the published file has {size:,}; name a mirror with --base-url"
                )
            arrived = 0
            while piece := answer.read1(PIECE):
                arrived += len(piece)
                if arrived > size:
                    raise InputError(
                        f"{url}: sends more than the {size:,} bytes of the published file; "
                        "name a mirror with --base-url"
                    )
                yield piece
            if arrived < size:
                raise _failed(url, f"it ended after {arrived:,} of {size:,} bytes")
    except InputError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        inner = getattr(error, "reason", error)
        if isinstance(inner, OSError) and inner.errno in _OF_THIS_MACHINE:
            raise inner from error
        raise _failed(url, _reason(error, stall_seconds)) from error


def _answer(url: str, stall_seconds: float) -> http.client.HTTPResponse:
    """The answer of the server, after redirects."""
    address = url
    for _ in range(1 + _REDIRECTS):
        headers = {"User-Agent": f"tickets/{__version__}", "Accept-Encoding": "identity"}
        answer = _opener(address).open(urllib.request.Request(address, headers=headers), timeout=stall_seconds)
        if answer is None:
            raise _failed(url, "it is neither an http nor an https address")
        if answer.status == 200:
            return answer  # type: ignore[no-any-return]
        answer.close()
        if answer.status not in _MOVED:
            raise _failed(url, f"status {answer.status} {http.client.responses.get(answer.status, '')}".rstrip())
        address = redirected(url, address, answer.headers.get("Location", ""))
    raise _failed(url, f"more than {_REDIRECTS} redirects")


def redirected(url: str, address: str, location: str) -> str:
    """The address that a redirect leads to."""
    new = urljoin(address, location)
    scheme = urlsplit(new).scheme
    if scheme not in ("http", "https") or (scheme == "http" and urlsplit(address).scheme == "https"):
        raise _failed(url, f"it is redirected to {new[:200]!a}, and only https addresses, or http from http, are safe")
    return new


def _opener(address: str) -> urllib.request.OpenerDirector:
    """An opener of http and https addresses that follows no redirects and knows no other protocols."""
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(urllib.request.HTTPHandler())
    if urlsplit(address).scheme == "https":
        import certifi

        # The certificates of the system, and certifi's, because some Pythons do not find the system's.
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        opener.add_handler(urllib.request.HTTPSHandler(context=context))
    return opener


def _failed(url: str, why: str) -> InputError:
    return InputError(f"{url}: the download failed ({why}); {_AGAIN}")


def _reason(error: Exception, stall_seconds: float) -> str:
    """What went wrong, on one line of printable characters: some of it may be text of the server's."""
    inner = getattr(error, "reason", None) or error
    if isinstance(inner, TimeoutError):
        return f"no answer for {stall_seconds:g} s"
    text = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return "".join(each if each.isprintable() else "?" for each in str(text))[:200]
