"""A port that several processes share, and nobody else."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from gateway.machine.port import Address, Reservation, reserve, shared

FREE = Address("127.0.0.1", 0)


@contextmanager
def reserved(address: Address = FREE) -> Iterator[Reservation]:
    with closing(reserve(address)) as reservation:
        yield reservation


@contextmanager
def listening(reservation: Reservation, number: int = 2) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        found = [stack.enter_context(shared(reservation.addresses[0])) for _ in range(number)]
        for one in found:
            one.listen()
        yield found


def single(port: int) -> socket.socket:
    """As a gateway of one process listens: with SO_REUSEADDR, as every server does."""
    return socket.create_server(("127.0.0.1", port))


def leave_time_wait(listeners: list[socket.socket], number: int = 8) -> None:
    """Connections that this side closes first go on holding the port for a minute."""
    for _ in range(number):
        client = socket.create_connection(listeners[0].getsockname())
        (ready, *_), _, _ = select.select(listeners, [], [], 20)
        accepted, _ = ready.accept()
        accepted.close()
        assert client.recv(1) == b""
        client.close()


def assert_taken(port: int) -> None:
    for attempt in (single, lambda port: reserve(Address("127.0.0.1", port))):
        with pytest.raises(OSError, match=r"(?i)address already in use") as refused:
            attempt(port)
        assert refused.value.errno == errno.EADDRINUSE


def test_those_who_share_a_port_get_connections_in_turn() -> None:
    with reserved() as reservation, listening(reservation) as listeners:
        clients = [socket.create_connection(listeners[0].getsockname()) for _ in range(64)]
        waiting = [0, 0]
        for number, listener in enumerate(listeners):
            listener.setblocking(False)
            while select.select([listener], [], [], 0)[0]:
                listener.accept()[0].close()
                waiting[number] += 1
        for client in clients:
            client.close()

    assert sum(waiting) == 64
    assert all(waiting)


def test_nobody_else_gets_a_reserved_port_whether_anybody_listens_or_not() -> None:
    with reserved() as reservation:
        port = reservation.addresses[0].port
        assert_taken(port)
        with listening(reservation) as listeners:
            assert_taken(port)
            leave_time_wait(listeners)
        assert_taken(port)
        with listening(reservation, 1):
            pass
        assert_taken(port)


def test_a_port_that_somebody_has_is_not_reserved() -> None:
    with single(0) as server, pytest.raises(OSError, match="address already in use"):
        reserve(Address("127.0.0.1", server.getsockname()[1]))


def test_a_port_is_free_again_at_once_whoever_had_it_and_has_it_next() -> None:
    with reserved() as reservation, listening(reservation) as listeners:
        port = reservation.addresses[0].port
        leave_time_wait(listeners)
    with reserved(Address("127.0.0.1", port)) as reservation, listening(reservation) as listeners:
        leave_time_wait(listeners)
    with single(port) as server:
        leave_time_wait([server])
    with reserved(Address("127.0.0.1", port)) as reservation, listening(reservation):
        assert_taken(port)


def test_every_address_of_a_name_is_kept() -> None:
    names = {str(one[4][0]) for one in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)}
    with reserved(Address("localhost", 0)) as reservation:
        assert {address.host for address in reservation.addresses} == names
