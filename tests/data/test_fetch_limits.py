"""What servers may do that `tickets fetch` survives: too much, too little, too late, or somewhere else."""

from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from served_files import Server, serving

from tickets.data.downloads import DOWNLOADS, Download, Downloads
from tickets.data.fetch import fetch
from tickets.data.transfer import LIMITS, Limits, redirected
from tickets.errors import InputError

FILE = gzip.compress(bytes(range(256)) * 4)
SIZE = f"{len(FILE):,}"
ONE = {"mnist": Downloads((), (Download("a.gz", hashlib.md5(FILE, usedforsecurity=False).hexdigest(), len(FILE)),))}
QUICK = Limits(stall_seconds=0.3, extra_seconds=5, bytes_per_second=1e9)
SLOW = Limits(stall_seconds=5, extra_seconds=0.3, bytes_per_second=1e9)

Request = BaseHTTPRequestHandler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as served:
        yield served


def headed(request: Request, *headers: tuple[str, str]) -> None:
    request.send_response(200)
    for name, value in headers:
        request.send_header(name, value)
    request.end_headers()


def endless(server: Server, *headers: tuple[str, str], piece: bytes = bytes(2**16)) -> Callable[[Request], None]:
    """Sends until the other side hangs up, at most 64 MiB."""

    def send(request: Request) -> None:
        headed(request, *headers)
        for _ in range(1024):
            request.wfile.write(piece)
        server.asked.append("sent everything")

    return send


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def trickled(server: Server, text: bytes) -> Callable[[Request], None]:
    """Sends a byte every 20 ms, which no time-out of a socket notices."""

    def send(request: Request) -> None:
        for byte in text:
            request.wfile.write(bytes([byte]))
            if server.wait(0.02):
                return

    return send


def behaviours(server: Server) -> dict[str, tuple[Callable[[Request], None], Limits, str]]:
    header = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n" % len(FILE)
    many = b"".join(b"X-%d: 1\r\n" % i for i in range(300))

    def silent(request: Request) -> None:
        server.wait()

    def stalled(request: Request) -> None:
        headed(request, ("Content-Length", str(len(FILE))))
        request.wfile.write(FILE[:5])
        request.wfile.flush()
        server.wait()

    def raw(data: bytes) -> Callable[[Request], None]:
        def send(request: Request) -> None:
            request.wfile.write(data)
            request.close_connection = True

        return send

    sends_more = f"sends more than the {SIZE} bytes of the published file; name a mirror"
    return {
        "endless": (endless(server), QUICK, sends_more),
        "endless chunks": (
            endless(server, ("Transfer-Encoding", "chunked"), piece=chunk(bytes(2**16))),
            QUICK,
            sends_more,
        ),
        "a terabyte": (
            endless(server, ("Content-Length", str(10**12))),
            QUICK,
            f"has 1,000,000,000,000 bytes; the published file has {SIZE}; name a mirror",
        ),
        "silent": (silent, QUICK, "the download failed (no answer for 0.3 s); check the network"),
        "stalled": (stalled, QUICK, "the download failed (no answer for 0.3 s); check the network"),
        "ends early": (raw(header + b"\r\n" + FILE[:5]), QUICK, f"(it ended after 5 of {SIZE} bytes)"),
        "slow headers": (trickled(server, header * 50), SLOW, f"the download is too slow: 0 of {SIZE} bytes in 0 s"),
        "slow content": (
            trickled(server, header[:0] + b"HTTP/1.0 200 OK\r\n\r\n" + FILE * 50),
            Limits(5, 0.7, 1e9),
            "the download is too slow: ",
        ),
        "long header": (raw(header + b"X: " + bytes(100) * 1000), QUICK, "(got more than 65536 bytes when reading"),
        "many headers": (raw(header + many), QUICK, "the download failed (got more than 100 headers)"),
        "no HTTP": (raw(b"\x1b[2J\x1b]0;evil\x07\r\n\r\n"), QUICK, "the download failed (?[2J?]0;evil?"),
        "no chunks": (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"),
            QUICK,
            "the download failed (",
        ),
    }


@pytest.mark.parametrize("name", list(behaviours(Server())))
def test_a_server_cannot_send_too_much_or_take_too_long(server: Server, tmp_path: Path, name: str) -> None:
    behaviour, limits, message = behaviours(server)[name]
    server.behaviours["a.gz"] = behaviour
    began = time.monotonic()
    with pytest.raises(InputError) as caught:
        fetch("mnist", tmp_path, base_url=server.url, downloads=ONE, limits=limits)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{server.url}/a.gz: ")
    assert message in problem
    assert problem.isprintable()
    assert list((tmp_path / "mnist").iterdir()) == []
    assert "sent everything" not in server.asked
    assert time.monotonic() - began < 9  # far more than needed: the machine may be busy


def test_the_content_is_taken_as_it_is_sent(server: Server, tmp_path: Path) -> None:
    """Some servers call a .gz file encoded. Unpacked on the way, it would have another checksum, and no limit."""

    def encoded(request: Request) -> None:
        headed(request, ("Content-Encoding", "gzip"), ("Content-Length", str(len(FILE))))
        request.wfile.write(FILE)

    server.behaviours["a.gz"] = encoded
    (path,) = fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    assert path.read_bytes() == FILE


@pytest.mark.parametrize("location", ["/there/b.gz", "b.gz", "{url}/b.gz", "//{host}/b.gz"])
def test_a_redirect_is_followed(server: Server, tmp_path: Path, location: str) -> None:
    new = location.format(url=server.url, host=server.url.removeprefix("http://"))
    server.moved["a.gz"] = new
    server.files = {"b.gz": FILE, "there/b.gz": FILE}
    (path,) = fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    assert path.read_bytes() == FILE


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("a.gz", "more than 5 redirects"),
        ("file:///etc/passwd", "it is redirected to 'file:///etc/passwd', and only https addresses"),
        ("ftp://127.0.0.1/a.gz", "it is redirected to 'ftp://127.0.0.1/a.gz', and only https addresses"),
        ("http://127.0.0.1:x/", "the download failed (nonnumeric port: 'x')"),
        ("http://[::1/a.gz", "the download failed (Invalid IPv6 URL)"),
        ("http://127.0.0.1:9/a b", "the download failed ("),
    ],
)
def test_a_redirect_elsewhere_is_refused(server: Server, tmp_path: Path, location: str, message: str) -> None:
    server.moved["a.gz"] = location
    with pytest.raises(InputError) as caught:
        fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    assert message in str(caught.value)
    assert len(server.asked) <= 6


def test_a_redirect_with_an_endless_body_is_not_read(server: Server, tmp_path: Path) -> None:
    def moved(request: Request) -> None:
        request.send_response(302)
        request.send_header("Location", "/b.gz")
        request.end_headers()
        for _ in range(1024):
            request.wfile.write(bytes(2**16))
        server.asked.append("sent everything")

    server.behaviours["a.gz"] = moved
    server.files = {"b.gz": FILE}
    (path,) = fetch("mnist", tmp_path, base_url=server.url, downloads=ONE)
    assert path.read_bytes() == FILE
    assert "sent everything" not in server.asked


def test_a_redirect_never_leaves_https() -> None:
    assert redirected("u", "https://a.org/x/y", "z") == "https://a.org/x/z"
    assert redirected("u", "http://a.org/x/y", "https://b.org/z") == "https://b.org/z"
    assert redirected("u", "http://a.org/x/y", "http://b.org/z") == "http://b.org/z"
    with pytest.raises(InputError, match=r"u: the download failed \(it is redirected to 'http://b.org/z'"):
        redirected("u", "https://a.org/x/y", "http://b.org/z")


@pytest.mark.parametrize(
    "url", ["http://", "http://a b", "http://127.0.0.1:99999", "http://\x00", "http://ä.é", "http://["]
)
def test_an_address_that_is_none(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match=r"the download failed \("):
        fetch("mnist", tmp_path, base_url=url, downloads=ONE, limits=QUICK)


def test_a_download_may_take_as_long_as_its_size_allows() -> None:
    assert LIMITS.seconds(50_000) == 61
    sizes = [download.size for source in DOWNLOADS.values() for download in source.downloads]
    assert max(LIMITS.seconds(size) for size in sizes) < 3600
