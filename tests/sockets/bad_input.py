"""Requests as no client should send them, and as any client may: tables for the tests.

Each malformed one has one thing wrong, and comes with the status it is refused with. A valid one
comes with what a worker is told: method, target, body.
"""

from __future__ import annotations

from collections.abc import Iterator

HOST = b"Host: models.example\r\n"
LENGTH = b"Content-Length: "
CODING = b"Transfer-Encoding: "
CHUNKED = CODING + b"chunked\r\n"

Table = dict[str, tuple[bytes, int]]


def head(fields: bytes = b"", line: bytes = b"GET /predict HTTP/1.1", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return head(fields, b"POST /predict HTTP/1.1") + body


def chunks(body: bytes) -> bytes:
    return post(CHUNKED, body)


def framings() -> Iterator[tuple[str, bytes, int]]:
    """Lengths and codings: where a hidden request would be."""
    lengths = {
        "empty": b"",
        "signed": b"+5",
        "negative": b"-5",
        "minus nothing": b"-0",
        "hexadecimal": b"0x5",
        "letters": b"five",
        "exponent": b"5e0",
        "underscore": b"1_0",
        "point": b"5.0",
        "quoted": b'"5"',
        "list": b"5, 5",
        "list of two": b"5, 6",
        "list with nothing": b"5,",
        "list without space": b"5,5",
        "semicolon": b"5;a",
        "space within": b"5 5",
        "other digits": b"\xd9\xa5",
        "superscript": b"\xb2",
        "vertical tab": b"\x0b5",
        "form feed": b"5\x0c",
        "nul": b"5\x00",
        "beyond 64 bits": b"18446744073709551616",
        "beyond 64 bits by far": b"9" * 60,
        "comma first": b",5",
    }
    for name, value in lengths.items():
        yield f"length {name}", post(LENGTH + value + b"\r\n", b"hello"), 400
    yield "length of 2^63", post(LENGTH + b"9223372036854775808\r\n", b"hello"), 413
    yield "length over the limit", post(LENGTH + b"1048577\r\n"), 413
    for first, second in ((b"5", b"5"), (b"5", b"6"), (b"6", b"5"), (b"0", b"5"), (b"5", b"05")):
        both = LENGTH + first + b"\r\n" + LENGTH + second + b"\r\n"
        name = f"length {first.decode()} and {second.decode()}"
        yield name, post(both, b"hello"), 400
    apart = LENGTH + b"5\r\nX: y\r\n" + b"content-length: 5\r\n"
    yield "length twice in two cases", post(apart, b"hello"), 400

    zero = b"0\r\n\r\n"
    five = LENGTH + b"5\r\n"
    yield "length, chunked", post(five + CHUNKED, zero), 400
    yield "chunked, length", post(CHUNKED + five, zero), 400
    yield "length 0, chunked", post(LENGTH + b"0\r\n" + CHUNKED, zero), 400
    yield "length, identity", post(five + CODING + b"identity\r\n", b"hello"), 400
    yield "length, unknown coding", post(five + CODING + b"xchunked\r\n", b"hello"), 400
    yield (
        "length, chunked in other letters",
        post(five + b"transfer-ENCODING: CHUNKED\r\n", zero),
        400,
    )
    yield "length, empty coding", post(five + CODING + b"\r\n", b"hello"), 400
    codings = {
        "gzip": (b"gzip", 501),
        "identity": (b"identity", 501),
        "deflate": (b"deflate", 501),
        "gzip, chunked": (b"gzip, chunked", 501),
        "identity, chunked": (b"identity, chunked", 501),
        "chunked, gzip": (b"chunked, gzip", 400),
        "chunked, identity": (b"chunked, identity", 400),
        "chunked, chunked": (b"chunked, chunked", 400),
        "chunked,chunked": (b"chunked,chunked", 400),
        "xchunked": (b"xchunked", 501),
        "chunkedx": (b"chunkedx", 501),
        "chunk": (b"chunk", 501),
        "quoted": (b'"chunked"', 501),
        "single quotes": (b"'chunked'", 501),
        "parameter": (b"chunked;a=b", 501),
        "comma after": (b"chunked,", 400),
        "comma before": (b",chunked", 501),
        "commas": (b", , chunked", 501),
        "nothing": (b"", 400),
        "comma": (b",", 501),
        "vertical tab": (b"\x0bchunked", 400),
        "form feed": (b"\x0cchunked", 400),
        "nul after": (b"chunked\x00", 400),
        "escape after": (b"chunked\x1b", 400),
        "high space": (b"\xa0chunked", 501),
        "next line": (b"\x85chunked", 501),
        "colon": (b": chunked", 501),
        "folded": (b"\r\n chunked", 400),
        "folded after": (b"chunked\r\n ", 400),
        "folded coding": (b"gzip,\r\n chunked", 400),
        "bare lf before": (b"\nchunked", 400),
        "bare cr before": (b"\rchunked", 400),
    }
    for name, (value, status) in codings.items():
        yield f"coding {name}", post(CODING + value + b"\r\n", zero), status
    yield "coding twice chunked", post(CHUNKED * 2, zero), 400
    yield "coding chunked then gzip", post(CHUNKED + CODING + b"gzip\r\n", zero), 400
    yield "coding gzip then chunked", post(CODING + b"gzip\r\n" + CHUNKED, zero), 501
    yield "coding identity then chunked", post(CODING + b"identity\r\n" + CHUNKED, zero), 501
    yield "coding space before colon", post(b"Transfer-Encoding : chunked\r\n", zero), 400
    yield "coding tab before colon", post(b"Transfer-Encoding\t: chunked\r\n", zero), 400
    yield "coding of http/1.0", head(CHUNKED, b"POST / HTTP/1.0") + zero, 400
    yield "length space before colon", post(b"Content-Length : 5\r\n", b"hello"), 400
    yield "length folded", post(b"Content-Length:\r\n 5\r\n", b"hello"), 400
    yield "length after nul in a name", post(b"X\x00: y\r\n" + five, b"hello"), 400


def bodies() -> Iterator[tuple[str, bytes, int]]:
    """Chunked bodies."""
    bad = {
        "size letters": b"g\r\nx\r\n0\r\n\r\n",
        "size prefix": b"0x1\r\nx\r\n0\r\n\r\n",
        "size plus": b"+1\r\nx\r\n0\r\n\r\n",
        "size minus": b"-1\r\nx\r\n0\r\n\r\n",
        "size space after": b"1 \r\nx\r\n0\r\n\r\n",
        "size space before": b" 1\r\nx\r\n0\r\n\r\n",
        "size tab": b"1\t\r\nx\r\n0\r\n\r\n",
        "size underscore": b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n",
        "size empty": b"\r\nx\r\n0\r\n\r\n",
        "size nul": b"1\x00\r\nx\r\n0\r\n\r\n",
        "size comma": b"1,1\r\nx\r\n0\r\n\r\n",
        "size point": b"1.0\r\nx\r\n0\r\n\r\n",
        "size beyond 64 bits": b"10000000000000001\r\nx\r\n0\r\n\r\n",
        "size that wraps to 1": b"1" + b"0" * 15 + b"00000001\r\nx\r\n0\r\n\r\n",
        "size ends in lf": b"1\nx\r\n0\r\n\r\n",
        "size ends in cr": b"1\rx\r\n0\r\n\r\n",
        "size ends in cr cr lf": b"1\r\r\nx\r\n0\r\n\r\n",
        "extension ends in lf": b"1;a=b\nx\r\n0\r\n\r\n",
        "extension ends in cr": b"1;a=b\rx\r\n0\r\n\r\n",
        "extension with cr": b"1;a\rb\r\nx\r\n0\r\n\r\n",
        "extension with nul": b"1;a=\x00\r\nx\r\n0\r\n\r\n",
        "extension with escape": b"1;a=\x1b\r\nx\r\n0\r\n\r\n",
        "extension with del": b"1;a=\x7f\r\nx\r\n0\r\n\r\n",
        "extension without name": b"1;\r\nx\r\n0\r\n\r\n",
        "extension twice nothing": b"1;;\r\nx\r\n0\r\n\r\n",
        "extension twice nothing, then a name": b"1;;a\r\nx\r\n0\r\n\r\n",
        "extension that ends in nothing": b"1;a;\r\nx\r\n0\r\n\r\n",
        "extension with nothing between": b"1;a;;b\r\nx\r\n0\r\n\r\n",
        "extension of a value only": b"1;=b\r\nx\r\n0\r\n\r\n",
        "extension without value": b"1;a=\r\nx\r\n0\r\n\r\n",
        "extension without value, then another": b"1;a=;b\r\nx\r\n0\r\n\r\n",
        "extension of the second chunk": b"1\r\nx\r\n1;=b\r\ny\r\n0\r\n\r\n",
        "extension of the last chunk": b"1\r\nx\r\n0;a=\r\n\r\n",
        "extension quotes begin late": b'1;a=b"c"\r\nx\r\n0\r\n\r\n',
        "extension quotes end early": b'1;a="b"c\r\nx\r\n0\r\n\r\n',
        "extension quotes end in an escape": b'1;a="b\\"\r\nx\r\n0\r\n\r\n',
        "extension in quotes with escape": b'1;a="\x1b"\r\nx\r\n0\r\n\r\n',
        "extension with a byte above 127": b"1;a=\xff\r\nx\r\n0\r\n\r\n",
        "extension of 40 KiB": b"1;a=" + b"b" * 40_960 + b"\r\nx\r\n0\r\n\r\n",
        "extension quote left open": b'1;a="b\r\nx\r\n0\r\n\r\n',
        "extension lf in quotes": b'1;a="\n"\r\nx\r\n0\r\n\r\n',
        "extension of the last chunk ends in lf": b"1\r\nx\r\n0;a\n\r\n",
        "data longer": b"1\r\nxx\r\n0\r\n\r\n",
        "data shorter": b"3\r\nx\r\n0\r\n\r\n!",
        "data ends in lf": b"1\r\nx\n0\r\n\r\n",
        "data ends in cr": b"1\r\nx\r0\r\n\r\n",
        "data without end": b"1\r\nx0\r\n\r\n",
        "last chunk ends in lf": b"1\r\nx\r\n0\n\r\n",
        "last line is lf": b"1\r\nx\r\n0\r\n\n",
        "last line is cr": b"1\r\nx\r\n0\r\n\r!",
        "trailer without colon": b"1\r\nx\r\n0\r\nX\r\n\r\n",
        "trailer folded": b"1\r\nx\r\n0\r\nX: a\r\n b\r\n\r\n",
        "trailer space before": b"1\r\nx\r\n0\r\n X: a\r\n\r\n",
        "trailer space before colon": b"1\r\nx\r\n0\r\nX : a\r\n\r\n",
        "trailer without name": b"1\r\nx\r\n0\r\n: a\r\n\r\n",
        "trailer with nul": b"1\r\nx\r\n0\r\nX: \x00\r\n\r\n",
        "trailer ends in lf": b"1\r\nx\r\n0\r\nX: a\n\r\n",
        "trailer with cr": b"1\r\nx\r\n0\r\nX: a\rb\r\n\r\n",
        "trailer that is a length": b"1\r\nx\r\n0\r\nContent-Length: 5\r\n\r\n",
        "trailer that is a coding": b"1\r\nx\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    }
    for name, body in bad.items():
        yield f"chunk {name}", chunks(body), 400


def bytes_in_fields() -> Iterator[tuple[str, bytes, int]]:
    """Every control byte where none may be."""
    for byte in [*range(0x20), 0x7F]:
        one = bytes([byte])
        if one not in b"\t":
            yield f"value with {byte:02x}", head(b"X: a" + one + b"b\r\n"), 400
        yield f"name with {byte:02x}", head(b"X" + one + b"a: b\r\n"), 400
    for byte in (0x00, 0x01, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1B, 0x1F, 0x7F, 0x80, 0xC3, 0xFF):
        yield f"target with {byte:02x}", head(line=b"GET /a%bb HTTP/1.1" % bytes([byte])), 400
        yield f"method with {byte:02x}", head(line=b"GE%bT / HTTP/1.1" % bytes([byte])), 400
    for byte in b' "(),/:;<=>?@[\\]{}\x80\xff':
        if byte != ord(":"):
            yield f"name with {byte:02x}", head(b"X%bY: z\r\n" % bytes([byte])), 400


def fields() -> Iterator[tuple[str, bytes, int]]:
    """Lines of a head."""
    yield "name empty", head(b": y\r\n"), 400
    yield "colon only", head(b":\r\n"), 400
    yield "no colon", head(b"Xy\r\n"), 400
    yield "space before colon", head(b"X : y\r\n"), 400
    yield "tab before colon", head(b"X\t: y\r\n"), 400
    yield "folded with space", head(b"X: a\r\n b\r\n"), 400
    yield "folded with tab", head(b"X: a\r\n\tb\r\n"), 400
    yield "folded to nothing", head(b"X: a\r\n \r\n"), 400
    yield "folded first line", b"GET / HTTP/1.1\r\n " + HOST + b"\r\n", 400
    yield "ends in lf", head(b"X: a\n"), 400
    yield "ends in cr", head(b"X: a\rY: b\r\n"), 400
    yield "ends in cr cr lf", head(b"X: a\r\r\n"), 400
    yield "head ends in lf", b"GET / HTTP/1.1\r\n" + HOST + b"\n", 400
    yield "head ends in cr cr lf", b"GET / HTTP/1.1\r\n" + HOST + b"\r\r\n", 400
    yield "all lines end in lf", b"GET / HTTP/1.1\nHost: a\n\n", 400
    yield "all lines end in cr", b"GET / HTTP/1.1\rHost: a\r\r\n\r\n", 400
    yield "101 of them", head(b"X: y\r\n" * 100), 431
    yield "40 KiB in one", head(b"X: " + b"y" * 40_960 + b"\r\n"), 431
    yield "40 KiB in a name", head(b"X" * 40_960 + b": y\r\n"), 431
    yield "40 KiB in all", head(b"".join(b"X-%d: %b\r\n" % (i, b"y" * 500) for i in range(80))), 431


def hosts() -> Iterator[tuple[str, bytes, int]]:
    """Host fields."""
    yield "missing", head(host=b""), 400
    yield "twice", head(host=HOST * 2), 400
    yield "twice in two cases", head(host=HOST + b"hOST: models.example\r\n"), 400
    yield "two of them", head(host=HOST + b"Host: other.example\r\n"), 400
    bad = [b"a b", b"a@b", b"a/b", b"a?b", b"a#b", b"a, b", b"a:b", b"a:80:80", b"a:-1", b"a:+1"]
    bad += [b"a:123456", b"[::1", b"::1", b"[]", b"[:::::]", b"[1::2::3]", b"[a]", b"[::1]a"]
    bad += [b"a\\b", b"a%zz", b"a%0", b"<a>", b'"a"', b"a\xc3\xa4", b"http://a", b"a\tb"]
    for value in bad:
        yield repr(value), head(host=b"Host: " + value + b"\r\n"), 400


def lines() -> Iterator[tuple[str, bytes, int]]:
    """Request lines: method, target, version and what is between them."""
    bad: dict[bytes, int] = {
        b"GET  / HTTP/1.1": 400,
        b"GET /  HTTP/1.1": 400,
        b"GET   /   HTTP/1.1": 400,
        b"GET\t/ HTTP/1.1": 400,
        b"GET /\tHTTP/1.1": 400,
        b"GET \t/ HTTP/1.1": 400,
        b"GET / \tHTTP/1.1": 400,
        b"GET /\x0bHTTP/1.1": 400,
        b" GET / HTTP/1.1": 400,
        b"\tGET / HTTP/1.1": 400,
        b"GET / HTTP/1.1 ": 400,
        b"GET / HTTP/1.1\t": 400,
        b"GET / HTTP/1.1\r": 400,
        b"GET / HTTP/1.1 HTTP/1.1": 400,
        b"GET /a b HTTP/1.1": 400,
        b"GET HTTP/1.1": 400,
        b"GET": 400,
        b"/ HTTP/1.1": 400,
        b"GET / HTTP/0.9": 505,
        b"GET / HTTP/1.2": 400,
        b"GET / HTTP/2.0": 505,
        b"GET / HTTP/2": 400,
        b"GET / HTTP/3.0": 400,
        b"GET / HTTP/9.9": 400,
        b"GET / HTTP/1": 400,
        b"GET / HTTP/1.": 400,
        b"GET / HTTP/.1": 400,
        b"GET / HTTP/1.10": 400,
        b"GET / HTTP/01.1": 400,
        b"GET / HTTP/1,1": 400,
        b"GET / HTTP/1.1a": 400,
        b"GET / HTTP/+1.1": 400,
        b"GET / HTTP 1.1": 400,
        b"GET / HTTP/ 1.1": 400,
        b"GET / http/1.1": 400,
        b"GET / Http/1.1": 400,
        b"GET / HTTPS/1.1": 400,
        b"GET / XHTTP/1.1": 400,
        b"GET / RTSP/1.0": 400,
        b"GET / RTSP/1.1": 400,
        b"OPTIONS / RTSP/1.0": 400,
        b"DESCRIBE / RTSP/1.0": 400,
        b"GET_PARAMETER / RTSP/1.0": 400,
        b"PLAY / RTSP/1.1": 400,
        b"DESCRIBE / HTTP/1.1": 400,
        b"SETUP / HTTP/1.1": 400,
        b"SOURCE / ICE/1.0": 400,
        b"SOURCE / ICE/1.1": 400,
        b"GET / ICE/1.0": 400,
        b"GET / SIP/2.0": 400,
        b"PRI / HTTP/1.1": 400,
        b"PRI * HTTP/2.0": 400,
        b"get / HTTP/1.1": 400,
        b"Get / HTTP/1.1": 400,
        b"FOO / HTTP/1.1": 400,
        b"GETT / HTTP/1.1": 400,
        b"GE / HTTP/1.1": 400,
        b"G=T / HTTP/1.1": 400,
        b"GET,POST / HTTP/1.1": 400,
        b"CONNECT models.example:443 HTTP/1.1": 405,
        b"CONNECT / HTTP/1.1": 405,
        b"GET predict HTTP/1.1": 400,
        b"GET * HTTP/1.1": 400,
        b"OPTIONS * HTTP/1.1": 400,
        b"GET models.example:80 HTTP/1.1": 400,
        b"GET ?a=b HTTP/1.1": 400,
        b"GET /a#b HTTP/1.1": 400,
        b"GET http:/models.example/ HTTP/1.1": 400,
        b"GET http:///predict HTTP/1.1": 400,
        b"GET http://?a HTTP/1.1": 400,
        b"GET http://user:pass@models.example/ HTTP/1.1": 400,
        b"GET http://models.example:port/ HTTP/1.1": 400,
        b"GET http://a\\b/ HTTP/1.1": 400,
        b"GET ftp://models.example/ HTTP/1.1": 400,
        b"GET file:///etc/passwd HTTP/1.1": 400,
        b"GET gopher://models.example/ HTTP/1.1": 400,
        b"GET unix:/run/v3.sock HTTP/1.1": 400,
        b"GET /a/../b HTTP/1.1": 400,
        b"GET /.. HTTP/1.1": 400,
        b"GET /. HTTP/1.1": 400,
        b"GET /./predict HTTP/1.1": 400,
        b"GET /a/%2e%2e/b HTTP/1.1": 400,
        b"GET /a/%2E./b HTTP/1.1": 400,
        b"GET /a/..%2fb HTTP/1.1": 400,
        b"GET /a%2F..%2Fb HTTP/1.1": 400,
        b"GET /a/..%5cb HTTP/1.1": 400,
        b"GET /a/..;/b HTTP/1.1": 400,
        b"GET /a/..;x=y/b HTTP/1.1": 400,
        b"GET /a/..%3b/b HTTP/1.1": 400,
        b"GET /a/..?x HTTP/1.1": 400,
        b"GET /a\\..\\b HTTP/1.1": 400,
        b"GET /a\\b HTTP/1.1": 400,
        b"GET /a%00b HTTP/1.1": 400,
        b"GET /a%zzb HTTP/1.1": 400,
        b"GET /a%2 HTTP/1.1": 400,
        b"GET http://models.example/a/../b HTTP/1.1": 400,
        b"GET /" + b"x" * 9000 + b" HTTP/1.1": 414,
        b"GET /?" + b"x" * 9000 + b" HTTP/1.1": 414,
        b"GET http://models.example/" + b"x" * 9000 + b" HTTP/1.1": 414,
    }
    for line, status in bad.items():
        yield repr(line[:50])[1:], head(line=line), status
    for raw in b'"<>\\^`{|}':
        character = bytes([raw])
        for place in (b"/a%bb", b"/%b", b"/a?b=%b", b"/a?%b", b"http://models.example/a?%b"):
            line = b"GET " + place % character + b" HTTP/1.1"
            yield f"{line!r}"[1:], head(line=line), 400
    for before in (
        b"\n",
        b"\r",
        b"\n\n",
        b"\r\r\n",
        b"\n\r\n",
        b"\r\n\n",
        b"\r\n\r",
        b"\r\n\n\r\n",
    ):
        yield f"{before!r} before"[1:], before + head(), 400
        yield f"{before!r} before a short one"[1:], before + b"GET / HTTP/1.0\r\n\r\n", 400
    yield "no version", b"GET /\r\n\r\n", 505
    yield "no version, fields", b"GET /\r\n" + HOST + b"\r\n", 505
    yield "tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n", 400
    yield "http/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400
    yield "an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 400
    yield "proxy protocol", b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n" + head(), 400


def expectations() -> Iterator[tuple[str, bytes, int]]:
    """Expect fields."""
    two = LENGTH + b"2\r\n"
    for value in (b"magic", b"", b"100-continue, magic", b"200-ok", b"100-continue;a=b"):
        yield repr(value), post(b"Expect: " + value + b"\r\n" + two, b"{}"), 417
    pair = b"Expect: magic\r\nExpect: 100-continue\r\n"
    yield "twice", post(pair + two, b"{}"), 417


def table() -> Table:
    """All of them by name."""
    found: Table = {}
    kinds = {
        "": (framings, bodies),
        "field ": (fields, bytes_in_fields),
        "host ": (hosts,),
        "line ": (lines,),
        "expect ": (expectations,),
    }
    for prefix, makers in kinds.items():
        for make in makers:
            for name, data, status in make():
                found[prefix + name] = (data, status)
    return found


MALFORMED = table()


def valid() -> dict[str, tuple[bytes, tuple[str, str, bytes]]]:
    """What a worker is told of each."""
    x = b"1\r\nx\r\n0\r\n"
    ten = LENGTH + b"10\r\n"
    post_x, post_ten = ("POST", "/predict", b"x"), ("POST", "/predict", b"0123456789")
    get = ("GET", "/predict", b"")
    dozen = b"c;n=v\r\nhello, world\r\n0\r\n\r\n"
    return {
        "get": (head(), get),
        "length": (post(ten, b"0123456789"), post_ten),
        "length with a tab": (post(b"Content-Length:\t10\t\r\n", b"0123456789"), post_ten),
        "length with noughts": (post(LENGTH + b"0010\r\n", b"0123456789"), post_ten),
        "length of nothing": (post(LENGTH + b"0\r\n"), ("POST", "/predict", b"")),
        "no length": (post(b""), ("POST", "/predict", b"")),
        "body like a head": (
            post(LENGTH + b"18\r\n", b"GET / HTTP/1.1\r\n\r\n"),
            ("POST", "/predict", b"GET / HTTP/1.1\r\n\r\n"),
        ),
        "get with a body": (head(ten) + b"0123456789", ("GET", "/predict", b"0123456789")),
        "chunked": (chunks(x + b"\r\n"), post_x),
        "chunked in capitals": (post(CODING + b"CHUNKED\r\n", x + b"\r\n"), post_x),
        "chunked, space after": (post(CODING + b"chunked \r\n", x + b"\r\n"), post_x),
        "two chunks": (chunks(b"5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"), post_ten),
        "chunk of ten": (chunks(b"A\r\n0123456789\r\n0\r\n\r\n"), post_ten),
        "size with noughts": (chunks(b"00001\r\nx\r\n000\r\n\r\n"), post_x),
        "chunk like its end": (
            chunks(b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"),
            ("POST", "/predict", b"\r\n0\r\n\r\n"),
        ),
        "extension": (chunks(dozen), ("POST", "/predict", b"hello, world")),
        "extension in quotes": (chunks(b'1;a="b;c"\r\nx\r\n0;d\r\n\r\n'), post_x),
        "extension of a name": (chunks(b"1;a\r\nx\r\n0\r\n\r\n"), post_x),
        "extensions of all kinds": (
            chunks(b'1;a;b=c;d="";e="q\\"\\\\x\t\xff"\r\nx\r\n000;f=!#\r\nX: ;=\r\n\r\n'),
            post_x,
        ),
        "chunk like a bad chunk": (
            chunks(b"9\r\n1;=b\r\nx\r\n\r\n0\r\n\r\n"),
            ("POST", "/predict", b"1;=b\r\nx\r\n"),
        ),
        "empty line before": (b"\r\n" + head(), get),
        "trailers": (chunks(x + b"X-Sum: 1\r\nX-More: 2\r\n\r\n"), post_x),
        "expectation": (post(b"Expect: 100-continue\r\n" + ten, b"0123456789"), post_ten),
        "empty lines before": (b"\r\n\r\n" + head(), get),
        "absolute form": (
            head(line=b"GET http://models.example/predict?a HTTP/1.1"),
            ("GET", "/predict?a", b""),
        ),
        "query of anything": (
            head(line=b"GET /predict?a=/../b&c=%zz%&d[]=%5C;?:@!$'()*+,-._~ HTTP/1.1"),
            ("GET", "/predict?a=/../b&c=%zz%&d[]=%5C;?:@!$'()*+,-._~", b""),
        ),
        "dots in names": (
            head(line=b"GET /v1.0/..a/b../.well-known/...;x/a%2Fb HTTP/1.1"),
            ("GET", "/v1.0/..a/b../.well-known/...;x/a%2Fb", b""),
        ),
        "empty segments": (head(line=b"GET //a//b/ HTTP/1.1"), ("GET", "//a//b/", b"")),
        "options": (head(line=b"OPTIONS /predict HTTP/1.1"), ("OPTIONS", "/predict", b"")),
        "query method": (head(line=b"QUERY /predict HTTP/1.1"), ("QUERY", "/predict", b"")),
        "tab and bytes in values": (head(b"X: a\tb\xc3\xa4\xff\r\nY:\r\nZ:z\r\n"), get),
        "all that a name may have": (head(b"!#$%&'*+-.^_`|~09aZ: y\r\n"), get),
        "host with a port": (head(host=b"Host: [2001:db8::7]:8080\r\n"), get),
        "host empty": (head(host=b"Host:\r\n"), get),
        "upgrade": (head(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), get),
        "upgrade to h2c": (
            post(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + ten, b"0123456789"),
            post_ten,
        ),
        "http/1.0": (head(b"Connection: keep-alive\r\n", b"GET /predict HTTP/1.0", b""), get),
        "99 more fields": (head(b"X: y\r\n" * 99), get),
    }


VALID = valid()
