"""What a password must be: the rule, and the words that everybody tries first. Pure."""

from collections.abc import Iterable

from bidwitness.errors import InvalidInput

MIN_LENGTH = 12
MAX_LENGTH = 200
# From this length on a passphrase needs no mixture of kinds of character.
PASSPHRASE_LENGTH = 20
MIN_DISTINCT = 5
# A name shorter than this is part of many words that have nothing to do with it.
NAME_LENGTH = 3
# What stands in for a letter in passwords that only look mixed.
_UNDISGUISED = str.maketrans("@4$5013!7", "aassoleit")
# Made for this program: what people put together when a rule asks for length.
_WORDS = """
    password passwort passwd pass word secret geheim admin administrator root user guest login
    welcome welcom willkommen hello letmein open sesame access enter master super manager system
    server service default change changeme changeit temp temporary test testing tester demo
    sample example company office centre center trade trading tender bid bidding bidwitness
    witness jianzheng jiaoyi zhongxin zhaobiao toubiao pingbiao kaibiao gonggong ziyuan jiandu
    guanli guanliyuan mima denglu nihao woaini woshi china zhongguo beijing shanghai guangzhou
    qwert qwerty qwertz asdf asdfgh zxcv zxcvbn yxcvbn qaz wsx edc rfv qwe asd zxc
    abc abcd abcde abcdef aaa bbb xyz
    monday tuesday wednesday thursday friday saturday sunday
    spring summer autumn winter january february march april may june july august september
    october november december
    love sunshine princess dragon monkey football baseball shadow michael superman batman
    iloveyou trustno one two three my the is a i am new old
"""
COMMON = frozenset(_WORDS.split())
_SIGNS = "@$!"
_RUNS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc4rfv", "abcdefghijklmnopqrstuvwxyz")


def check_password_rule(
    password: str, username: str, *, name: str | None = None, least: int = MIN_LENGTH
) -> None:
    """Raise ``InvalidInput`` naming the rule that ``password`` breaks. Pure.

    ``name`` is what the person is called, ``least`` the site's smallest length in characters.
    """
    why = _broken_rule(password, (username, *(name or "").split()), least)
    if why:
        raise InvalidInput(f"The password {why}.", fields={"password": why})


def _broken_rule(password: str, names: Iterable[str], least: int) -> str | None:
    if not least <= len(password) <= MAX_LENGTH:
        return f"must have {least} to {MAX_LENGTH} characters"
    for name in names:
        if len(name) >= NAME_LENGTH and name.lower() in password.lower():
            return "must not contain the user name or the person's own"
    if len(set(password)) < MIN_DISTINCT:
        return f"must have at least {MIN_DISTINCT} different characters"
    kinds = (
        any(c.islower() for c in password),
        any(c.isupper() for c in password),
        any(c.isdigit() for c in password),
        any(not c.isalnum() for c in password),
    )
    if len(password) < PASSPHRASE_LENGTH and sum(kinds) < 3:
        return (
            "must mix three of: small letters, capitals, digits, signs "
            f"(or have {PASSPHRASE_LENGTH} characters)"
        )
    if is_common(password):
        return "is made of words, years and rows of keys that everybody tries first"
    return None


def is_common(password: str) -> bool:
    """Tell whether a password is nothing but common words, numbers, rows of keys and signs."""
    text = "".join(c for c in password.lower() if c.isalnum() or c in _SIGNS)
    reached = {0}
    for end in range(1, len(text) + 1):
        if any(start in reached and _is_common_piece(text[start:end]) for start in range(end)):
            reached.add(end)
    return len(text) in reached


def _is_common_piece(piece: str) -> bool:
    if piece in COMMON or piece.translate(_UNDISGUISED) in COMMON:
        return True
    if not any(c.isalpha() for c in piece):
        return True
    return len(piece) >= 3 and (len(set(piece)) == 1 or any(piece in run for run in _RUNS))
