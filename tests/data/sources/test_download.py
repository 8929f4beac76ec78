from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from gpunn.data.sources.download import download
from gpunn.errors import DataError

Serve = Callable[[bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answers the next request with these bytes as they are, and gives the address to ask."""
    ends: list[Callable[[], None]] = []

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))

        def answer_one() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=answer_one)
        thread.start()
        ends.extend((thread.join, listener.close))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/file"

    yield start
    for end in ends:
        end()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_what_is_sent_arrives(serve: Serve) -> None:
    content = bytes(range(256)) * 1000
    address = serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
    assert download(address, most=len(content)) == content


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "cut off after 4 of 9 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(101), "more than 100 bytes"),
        (b"", "cannot be read"),
        (b"nonsense\r\n\r\n", "cannot be read"),
    ],
)
def test_answers_that_are_no_file_are_refused(serve: Serve, answer: bytes, words: str) -> None:
    address = serve(answer)
    with pytest.raises(DataError, match=rf"^{address} .*{words}"):
        download(address, most=100)


def test_nobody_there_and_silence_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(DataError, match="timed out"):
            download(address, most=100, silence=0.05)
    with pytest.raises(DataError, match="Connection refused"):
        download(address, most=100)


def test_a_sender_that_drips_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter(range(0, 36000, 3600))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(hours)))
    address = serve(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    with pytest.raises(DataError, match="4 bytes in 600 seconds and not all"):
        download(address, most=100)
