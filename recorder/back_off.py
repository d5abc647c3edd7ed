"""How long a failure is waited out. Pure."""

BACK_OFF_S = (1, 1, 2, 5, 10)


def back_off(failures: int) -> int:
    """Give the seconds to wait after so many failures in a row."""
    return BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1] if failures > 0 else 0
