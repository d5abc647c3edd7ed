"""Which roles may be one person's, and who makes the first administrators."""

import itertools

import pytest

from bidwitness.errors import Forbidden, InvalidInput
from bidwitness.rights import (
    ADMINISTRATORS,
    BY_GRANT,
    BY_ROLE,
    check_founding,
    check_together,
    form_of_copy,
)
from bidwitness.words import CopyForm, GrantKind, Medium, Role

JOINED_IN_A_SMALL_CENTRE = (
    {Role.VENUE, Role.ATTESTOR},
    {Role.ARCHIVIST, Role.OPERATOR},
)


@pytest.mark.parametrize("small", [False, True])
def test_no_two_roles_are_one_persons_but_for_a_small_centre(small: bool) -> None:
    people = [role for role in Role if role is not Role.SERVICE]
    for role in Role:
        if role is Role.SERVICE:
            with pytest.raises(InvalidInput):
                check_together([role], small_centre=small)
        else:
            assert check_together([role], small_centre=small) == {role}
    for pair in itertools.combinations(people, 2):
        if small and set(pair) in JOINED_IN_A_SMALL_CENTRE:
            assert check_together(pair, small_centre=True) == set(pair)
            continue
        with pytest.raises(InvalidInput) as refused:
            check_together(pair, small_centre=small)
        assert list(refused.value.fields) == ["roles"]
        assert "second user" in refused.value.detail
    four = [Role.VENUE, Role.ATTESTOR, Role.ARCHIVIST, Role.OPERATOR]
    with pytest.raises(InvalidInput):
        check_together(four, small_centre=small)
    with pytest.raises(InvalidInput):
        check_together([], small_centre=small)


def test_no_administrator_has_a_row() -> None:
    assert not ADMINISTRATORS & (BY_ROLE.keys() | BY_GRANT.keys())


def test_the_first_administrator_makes_only_who_watches_her() -> None:
    admin = frozenset({Role.SYSTEM_ADMIN})
    for role in Role:
        if role in (Role.SECURITY_ADMIN, Role.AUDIT_ADMIN):
            check_founding(admin, [role])
        else:
            with pytest.raises(Forbidden):
                check_founding(admin, [role])
        check_founding(frozenset({Role.SECURITY_ADMIN}), [role])


@pytest.mark.parametrize(
    ("role", "kind", "media", "form"),
    [
        (Role.AUDITOR, GrantKind.REQUEST, {Medium.PICTURE, Medium.SOUND}, CopyForm.WATERMARKED),
        (Role.ARCHIVIST, GrantKind.DEMAND, {Medium.PICTURE}, CopyForm.WATERMARKED),
        (Role.ARCHIVIST, GrantKind.REQUEST, {Medium.PICTURE}, CopyForm.PACKAGE),
        # Nothing can be written on a sound.
        (Role.AUDITOR, GrantKind.REQUEST, {Medium.SOUND}, CopyForm.PACKAGE),
    ],
)
def test_what_leaves_the_centre_is_watermarked(
    role: Role, kind: GrantKind, media: set[Medium], form: CopyForm
) -> None:
    assert form_of_copy([role], [kind], media) == form
