"""Sockets that listen."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys

from textgate.serve.settings import ServiceError

BACKLOG = 2048  # connections that wait to be accepted
_SO_ATTACH_FILTER = 26  # Linux


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: name or address.
        port: 0 for any that is free.

    Raises:
        ServiceError: the address is not this machine's, is in use, or may not be used.
    """
    listening = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as problem:
        if listening is not None:
            listening.close()
        reason = problem.strerror or str(problem)
        raise ServiceError(
            f"cannot listen at {host}, port {port}: {reason}; choose another --host or --port"
        ) from None
    listening.set_inheritable(True)
    return listening


def raise_file_limit() -> None:
    """Let the process have as many connections open as it may."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2**16 if hard == resource.RLIM_INFINITY else min(hard, 2**16)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def refuse_connections(listening: socket.socket) -> None:
    """Have the system ignore new connections to a socket, where it can.

    Clients that have connected are accepted still, and none is cut off when the socket is closed;
    others try again, and are refused by then. A filter drops packets with the flag SYN.
    """
    if sys.platform != "linux":
        return
    # Load the byte of TCP's flags; if it has SYN, keep 0 bytes of the packet, else all of them.
    instructions = ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
    code = b"".join(struct.pack("=HBBI", *one) for one in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(instructions), ctypes.addressof(buffer))
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
