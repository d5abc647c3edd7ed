from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import FakeClock

from bidwitness.errors import Unauthenticated
from bidwitness.secrets import SecretBox
from bidwitness.tickets import LASTS_US, LiveTicket, LiveTickets
from bidwitness.words import Medium

TICKET = LiveTicket("stream", Medium.SOUND)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def issuer(tmp_path: Path, clock: FakeClock) -> LiveTickets:
    return LiveTickets(SecretBox(tmp_path / "live.key"), clock)


@pytest.fixture
def taker(tmp_path: Path, clock: FakeClock, issuer: LiveTickets) -> LiveTickets:
    """Another process with the same key file."""
    return LiveTickets(SecretBox(tmp_path / "live.key"), clock)


def test_good_once(issuer: LiveTickets, taker: LiveTickets) -> None:
    text = issuer.issue(TICKET)
    assert taker.take(text) == TICKET
    with pytest.raises(Unauthenticated):
        taker.take(text)


def test_good_for_a_while(issuer: LiveTickets, taker: LiveTickets, clock: FakeClock) -> None:
    early, late = issuer.issue(TICKET), issuer.issue(TICKET)
    clock.advance(LASTS_US)
    assert taker.take(early) == TICKET
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        taker.take(late)


def test_not_of_the_future(issuer: LiveTickets, taker: LiveTickets, clock: FakeClock) -> None:
    text = issuer.issue(TICKET)
    clock.step(-1)
    with pytest.raises(Unauthenticated):
        taker.take(text)


def test_another_key_or_none(issuer: LiveTickets, tmp_path: Path, clock: FakeClock) -> None:
    text = issuer.issue(TICKET)
    other = LiveTickets(SecretBox(tmp_path / "other.key"), clock)
    with pytest.raises(Unauthenticated):
        other.take(text)
    other.issue(TICKET)
    with pytest.raises(Unauthenticated):
        other.take(text)


@given(st.text(max_size=200))
def test_whatever_is_said_instead(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    tickets = LiveTickets(SecretBox(tmp_path_factory.getbasetemp() / "k"), FakeClock())
    tickets.issue(TICKET)
    with pytest.raises(Unauthenticated):
        tickets.take(text)
