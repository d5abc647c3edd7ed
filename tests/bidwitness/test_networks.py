"""Addresses and networks that people name."""

import pytest

from bidwitness.errors import InvalidInput
from bidwitness.networks import is_within, read_network
from bidwitness.rights import Whence


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" 10.1.2.3 ", "10.1.2.3/32"),
        ("10.1.2.0/24", "10.1.2.0/24"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_what_is_one(typed: str, kept: str) -> None:
    assert read_network(typed) == kept


@pytest.mark.parametrize("typed", ["", "hall", "10.1.2", "10.1.2.3/33", "10.1.2.3-9", "::/129"])
def test_what_is_none_is_refused_by_its_field(typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_network(typed)
    assert list(refused.value.fields) == ["network"]


def test_an_address_within_a_network_is_told_the_network() -> None:
    with pytest.raises(InvalidInput, match=r"10\.1\.2\.0/24"):
        read_network("10.1.2.3/24")


@pytest.mark.parametrize(
    ("address", "within"),
    [
        ("10.1.2.3", True),
        ("10.1.3.3", False),
        ("::ffff:10.1.2.3", True),
        ("::1", False),
        ("", False),
        ("unknown", False),
        (None, False),
    ],
)
def test_who_is_within(address: str | None, within: bool) -> None:
    assert is_within(address, ["10.1.2.0/24", "2001:db8::/32"]) is within
    assert is_within(address, []) is False
    assert Whence(address, networks=("10.1.2.0/24",)).is_post is within
    assert Whence(address, display_id="d1").is_post
