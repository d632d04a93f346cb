"""A mail client's first steps, timed where it stands; put on the lab's peer by the bench. Standard library only.

client.py greeting HOST SOURCE                 seconds from the connection to the 220
client.py handshakes HOST PORT SECONDS SOURCE...  new TLS sessions a second, each source in turn
"""

from __future__ import annotations

import itertools
import socket
import ssl
import sys
import time


def greeting(host: str, source: str) -> float:
    begun = time.perf_counter()
    with socket.create_connection((host, 25), 30, (source, 0)) as connection, connection.makefile("rb") as lines:
        while not (line := lines.readline()).startswith(b"220 "):
            if not line:
                raise SystemExit("closed before the greeting")
        seconds = time.perf_counter() - begun
        connection.sendall(b"QUIT\r\n")
        lines.readline()
    return seconds


def handshakes(host: str, port: int, seconds: float, sources: list[str]) -> float:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # how fast, not with whom
    count, begun = 0, time.perf_counter()
    for source in itertools.cycle(sources):
        if time.perf_counter() - begun > seconds:
            break
        with socket.create_connection((host, port), 30, (source, 0)) as plain, context.wrap_socket(plain):
            count += 1
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    if sys.argv[1] == "greeting":
        print(greeting(sys.argv[2], sys.argv[3]))
    else:
        print(handshakes(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:]))
