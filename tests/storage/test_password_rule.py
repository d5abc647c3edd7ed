"""What a password must be, and what everybody tries first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.errors import InvalidInput
from bidwitness.storage.password_rule import check_password_rule, is_common


@pytest.mark.parametrize(
    "password",
    [
        "Password1234!",
        "P@ssw0rd2024!",
        "Admin-Admin-2026",
        "qwertyuiop[]12Qwe",
        "Welcome!123456",
        "Zhaobiao@20261",
        "iloveyou-China-88",
        "1qaz2wsx3edc!Qaz",
        "BidWitness-2026",
        "passwordpasswordpassword",
    ],
)
def test_what_everybody_tries_first_is_refused(password: str) -> None:
    assert is_common(password)
    with pytest.raises(InvalidInput):
        check_password_rule(password, "zhao")


@pytest.mark.parametrize(
    "password", ["Correct-horse-9", "Another-horse-9", "correct horse battery", "Tr4ffic+lamp-post"]
)
def test_a_word_that_few_try_is_enough(password: str) -> None:
    check_password_rule(password, "zhao")


@pytest.mark.parametrize(
    ("username", "name"), [("zhao", None), ("z1", "Zhao Min"), ("z1", "zhao"), ("ZHAO", None)]
)
def test_no_name_is_part_of_it(username: str, name: str | None) -> None:
    with pytest.raises(InvalidInput, match="name"):
        check_password_rule("Quiet-zhao-lamps-9", username, name=name)


def test_a_short_name_is_no_reason() -> None:
    check_password_rule("Quiet-lamps-glow-9", "li", name="Li O")


def test_a_site_may_want_more() -> None:
    check_password_rule("Quiet-lamps-9", "zhao")
    with pytest.raises(InvalidInput, match="16"):
        check_password_rule("Quiet-lamps-9", "zhao", least=16)


@given(st.text(max_size=200))
def test_any_text_has_an_answer(password: str) -> None:
    is_common(password)
