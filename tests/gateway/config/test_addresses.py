"""Where traffic may go, and the many spellings of where it may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import addresses
from gateway.model import Endpoint, Tls


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("http://127.0.0.1:8101", Endpoint("http://127.0.0.1:8101", "127.0.0.1", 8101)),
        ("http://Iris-V1:80", Endpoint("http://iris-v1:80", "iris-v1", 80)),
        ("http://iris_v1.models", Endpoint("http://iris_v1.models:80", "iris_v1.models", 80)),
        ("http://[::1]:8101", Endpoint("http://[::1]:8101", "::1", 8101)),
        ("http://[0:0:0:0:0:0:0:1]", Endpoint("http://[::1]:80", "::1", 80)),
        ("http://10.0.0.1:65535", Endpoint("http://10.0.0.1:65535", "10.0.0.1", 65535)),
        ("http://v2.10x:1", Endpoint("http://v2.10x:1", "v2.10x", 1)),
        ("https://Iris:8443", Endpoint("https://iris:8443", "iris", 8443, tls=Tls())),
        ("https://10.0.0.1", Endpoint("https://10.0.0.1:443", "10.0.0.1", 443, tls=Tls())),
        ("https://[::1]", Endpoint("https://[::1]:443", "::1", 443, tls=Tls())),
        ("unix:/run/v3.sock", Endpoint("unix:/run/v3.sock", socket="/run/v3.sock")),
        ("unix:/run/a@b", Endpoint("unix:/run/a@b", socket="/run/a@b")),
    ],
)
def test_an_endpoint_is_a_host_and_port_or_a_socket(text: str, endpoint: Endpoint) -> None:
    assert addresses.endpoint(text) == endpoint


NOWHERE = [
    *("169.254.169.254", "169.254.0.1", "0.0.0.0", "224.0.0.1", "239.1.2.3"),
    *("100.100.100.200", "168.63.129.16", "metadata.google.internal", "METADATA.goog"),
    *("[fe80::1]", "[febf::1]", "[fd00:ec2::254]", "[FD00:0EC2:0::254]", "[::]", "[ff02::1]"),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::169.254.169.254]"),
    *("[2002:a9fe:a9fe::1]", "[::ffff:0.0.0.0]", "192.0.0.192"),
]


@pytest.mark.parametrize("host", NOWHERE)
def test_addresses_that_no_worker_has_are_refused(host: str) -> None:
    for parse, path in ((addresses.endpoint, ""), (addresses.webhook, "/hook")):
        with pytest.raises(ValueError, match="is a link-local, metadata, multicast or unspecified"):
            parse(f"http://{host}:80{path}")
        with pytest.raises(ValueError, match="is a link-local, metadata, multicast or unspecified"):
            parse(f"https://{host}:80{path}")


NO_HOSTS = [
    *("2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "169.254.43518", "127.1", "a.1"),
    *("0251.0376.0251.0376", "169.254.169.254.", "1.2.3.256", "", "a..b", ".a", "a.", "-a"),
    *("a b", "ü.example", "a%00b", "[::1", "[fe80::1%eth0]", "[::1]x", "[1.2.3.4]", "a" * 254),
]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_a_host_is_written_the_one_way(host: str) -> None:
    """Resolvers read ``2852039166`` and ``169.254.43518`` as 169.254.169.254, too."""
    with pytest.raises(ValueError, match=r"is not a host"):
        addresses.endpoint(f"http://{host}:80")


NO_ENDPOINTS = [
    ("ftp://iris", "'ftp://iris' is not an address; write http://host:port, https://host:por"),
    ("iris:8101", "'iris:8101' is not an address; write http://host:port, https://host:port "),
    ("ws://iris", "'ws://iris' is not an address; write http://host:port, https://host:port o"),
    ("https://", "'' is not a host; write a name, an IPv4 address, or an IPv6 address in br"),
    ("https://iris/a", "'https://iris/a' has a path; write only https://host:port, the client"),
    ("https://u:secret@iris", "'https://***@iris' carries credentials; write only http://hos"),
    ("HTTP://iris", "'HTTP://iris' is not an address; write http://host:port"),
    ("file:///etc/passwd", "'file:///etc/passwd' is not an address; write"),
    ("http://iris/predict", "'http://iris/predict' has a path; write only http://host:port, "),
    (
        "http://iris/",
        "'http://iris/' has a path; write only http://host:port, the client's own is",
    ),
    ("http://iris?a", "'http://iris?a' has a query; write only http://host:port"),
    ("http://iris#a", "'http://iris#a' has a fragment; write only http://host:port"),
    ("http://u:secret@iris", "'http://***@iris' carries credentials; write only http://host:"),
    ("http://iris:0", "'iris:0' is not a host and port; write host:port, [IPv6]:port or a h"),
    ("http://iris:65536", "'iris:65536' is not a host and port; write host:port, [IPv6]:por"),
    ("http://iris:080", "'iris:080' is not a host and port; write host:port"),
    ("http://iris:http", "'iris:http' is not a host and port; write host:port"),
    ("http://iris:", "'iris:' is not a host and port; write host:port"),
    ("http://::1:80", "'::1:80' is not a host and port; write host:port, [IPv6]:port or a ho"),
    ("unix:run/v1.sock", "'unix:run/v1.sock' names no absolute path; write such as unix:/run"),
    ("unix:///run/v1.sock", "'unix:///run/v1.sock' names no absolute path; write such as uni"),
    ("unix:", "'unix:' names no absolute path; write such as unix:/run/v1.sock"),
    ("unix:/" + "a" * 107, "is too long for a socket; write at most 107 bytes"),
]


@pytest.mark.parametrize(("text", "sentence"), NO_ENDPOINTS)
def test_a_refused_endpoint_says_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="write") as refused:
        addresses.endpoint(text)
    assert sentence in str(refused.value)


def test_the_longest_socket_path_fits() -> None:
    assert addresses.endpoint("unix:/" + "a" * 106).socket == "/" + "a" * 106


@pytest.mark.parametrize(
    "url", ["https://chat.example/hook", "http://[::1]:9/x?y=z", "https://a", "https://a?b=/c"]
)
def test_a_webhook_is_a_url_with_path_and_query(url: str) -> None:
    assert addresses.webhook(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *("", "chat.example/SECRET", "ftp://a/SECRET", "https:///SECRET", "https://a/SECRET#b"),
        *("https://u:SECRET@a/b", "https://a/SECRET b", "https://a:99999/SECRET", "https:SECRET"),
    ],
)
def test_a_refused_webhook_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="write") as refused:
        addresses.webhook(url)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "[fd00::1]"]
)
def test_private_networks_are_where_workers_live(host: str) -> None:
    assert addresses.endpoint(f"http://{host}:80").port == 80


def test_a_name_in_a_certificate_is_a_host_and_its_authority_an_absolute_path() -> None:
    assert addresses.server_name("Iris.Example") == "iris.example"
    assert addresses.server_name("[::1]") == "::1"
    assert addresses.certificate_file("/etc/canary/ca.pem") == "/etc/canary/ca.pem"
    for text in ("ca.pem", "", "/etc/canary/"):
        with pytest.raises(ValueError, match="is no absolute path; write such as /etc/canary/ca"):
            addresses.certificate_file(text)


def test_the_host_of_a_match_is_compared_lower_case_and_without_port() -> None:
    assert addresses.host("Iris.Example") == "iris.example"
    assert addresses.host("[0::1]") == "[::1]"
    assert addresses.host("169.254.169.254") == "169.254.169.254"  # clients may ask for anything
    for text in ("iris.example:8080", "[::1]:80"):
        with pytest.raises(ValueError, match="has a port; write the host alone"):
            addresses.host(text)
    for text in ("*.example", "::1", ""):
        with pytest.raises(ValueError, match="is not a host; write a name, an IPv4 address, or an"):
            addresses.host(text)


@given(st.ip_addresses(v=4), st.integers(1, 65535))
def test_what_is_taken_comes_back_as_the_same_address(ip: object, port: int) -> None:
    try:
        endpoint = addresses.endpoint(f"http://{ip}:{port}")
    except ValueError as error:
        assert "unspecified address" in str(error)  # noqa: PT017  # either is right
    else:
        assert (endpoint.host, endpoint.port) == (str(ip), port)


@given(st.text() | st.text(alphabet="htp:/[]@.0x1afe%?#-").map("http://{}".format))
def test_any_text_is_an_address_or_a_sentence(text: str) -> None:
    for parse in (addresses.endpoint, addresses.webhook, addresses.host):
        try:
            parse(text)
        except ValueError as error:
            assert "; write" in str(error)  # noqa: PT017
