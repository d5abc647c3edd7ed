"""Logins: the examples of RFC 7616, and which way is chosen."""

import pytest

from bidwitness.rtsp.login import Challenge, Login, choose, read_challenge

REALM = "http-auth@example.org"
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OWN = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_the_standard(algorithm: str, response: str) -> None:
    header = f'Digest realm="{REALM}", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE}"'
    login = Login(read_challenge(header), "Mufasa", "Circle of Life")
    said = login._digest("GET", "/dir/index.html", "00000001", OWN)
    assert f'response="{response}"' in said
    assert "qop=auth, nc=00000001" in said and f"algorithm={algorithm}" in said


def test_each_request_counts() -> None:
    login = Login(read_challenge('Digest realm="a", nonce="b", qop="auth"'), "u", "p")
    first, second = (login.header("PLAY", "rtsp://a/") for _ in range(2))
    assert "nc=00000001" in first and "nc=00000002" in second


def test_digest_without_qop_and_opaque_is_given_back() -> None:
    login = Login(read_challenge('digest realm="a \\"b\\"", nonce="c", opaque="d"'), "u", "p")
    said = login.header("PLAY", "rtsp://a/")
    assert 'opaque="d"' in said and "qop" not in said and "nc=" not in said


def test_the_best_that_is_known_is_chosen() -> None:
    basic = read_challenge('Basic realm="a"')
    md5 = read_challenge('Digest realm="a, algorithm", algorithm="MD5", nonce="b"')
    sha = read_challenge("Digest realm=a, nonce=b, algorithm=SHA-256")
    other = read_challenge('Digest realm="a", nonce="b", algorithm=SHA-512-256')
    assert choose([basic, md5, sha]) is sha
    assert choose([basic, md5]) is md5
    assert choose([other, basic]) is basic
    assert choose([other, Challenge("ntlm")]) is None
    assert [c.name for c in (basic, md5, sha)] == ["basic", "digest", "digest-sha-256"]


def test_basic() -> None:
    login = Login(Challenge("basic"), "管理员", "p@:/#")
    assert login.header("PLAY", "rtsp://a/") == "Basic 566h55CG5ZGYOnBAOi8j"
