"""The same promises over TLS, where the socket that is read is not the one that was connected."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ai_assets.dashscope.errors import CallTimeoutError, ConnectionFailedError

GENEROUS_S = 5.0
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself: the path of a file with it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(built.public_bytes(encoding) + private)
    return path


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate, client_of, monkeypatch):
    """`client_of`, for clients that take the server's certificate from the environment's bundle."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return client_of


def test_a_call_over_tls_reuses_its_connection(serve, tls, trusting):
    server = serve(lambda peer, _request: peer.answer("密"), tls)
    client = trusting(server)
    assert [client.call("a", "p", deadline_s=GENEROUS_S).text for _ in range(3)] == ["密"] * 3
    assert server.connections == 1


def drips_a_header(peer):
    peer.send(HEAD + b"X-Slow: ")
    peer.drip(b"a")


def drips_its_body(peer):
    peer.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
    peer.drip(b" ")


def never_answers(peer):
    peer.hang()


@pytest.mark.parametrize("behaviour", [never_answers, drips_a_header, drips_its_body])
@pytest.mark.parametrize("pooled", [False, True])
def test_a_stuck_tls_server_costs_no_more_than_the_deadline_and_no_worker(
    serve, tls, trusting, behaviour, pooled
):
    stuck = 2 if pooled else 1
    server = serve(
        lambda peer, request: behaviour(peer) if request.number == stuck else peer.answer("again"), tls
    )
    client = trusting(server, pool_size=1)
    if pooled:
        client.call("a", "p", deadline_s=GENEROUS_S)
    began = time.monotonic()
    with pytest.raises(CallTimeoutError) as caught:
        client.call("a", "p", deadline_s=0.3)
    assert time.monotonic() - began < GENEROUS_S
    assert caught.value.may_be_billed
    assert client.call("a", "p", deadline_s=GENEROUS_S).text == "again"
    assert server.peers[0].gone.wait(GENEROUS_S)


def test_a_handshake_that_never_ends_is_left_at_the_deadline_and_cost_nothing(trusting):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = trusting(f"https://127.0.0.1:{listener.getsockname()[1]}/api/v1")
        with pytest.raises(CallTimeoutError) as caught:
            client.call("a", "p", deadline_s=0.3)
        assert not caught.value.may_be_billed
        client.close()
        until = time.monotonic() + GENEROUS_S
        while [t for t in threading.enumerate() if t.name.startswith("dashscope")]:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_pooled_tls_connection_dropped_before_a_byte_is_sent_again_at_once(serve, tls, trusting, raw):
    server = serve(lambda peer, request: raw.CLOSE if request.number == 2 else peer.answer(), tls)
    waits = []
    client = trusting(server, max_attempts=1, sleep=waits.append)
    client.call("a", "p", deadline_s=GENEROUS_S)
    assert client.call("a", "p", deadline_s=GENEROUS_S).attempts == 2
    assert waits == []


def test_a_server_whose_certificate_is_not_trusted_gets_no_request_and_no_key(
    serve, tls, client_of, monkeypatch
):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    server = serve(lambda peer, _request: peer.answer(), tls)
    with pytest.raises(ConnectionFailedError, match="certificate") as caught:
        client_of(server, sleep=lambda _s: None).call("a", "p", deadline_s=GENEROUS_S)
    assert (server.requests, caught.value.may_be_billed) == ([], False)
