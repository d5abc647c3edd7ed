"""The clock of China as films show it. Pure, and soon imported: processes of their own need it."""

from datetime import UTC, datetime, timedelta, timezone

SECOND = 1_000_000
CHINA = timezone(timedelta(hours=8))
# A chapter begins at each of these of the wall clock, besides at each connection and gap.
CHAPTER_US = 600 * SECOND


def wall(at_us: int) -> str:
    """Write an instant as a clock in China shows it, to the second."""
    at = datetime.fromtimestamp(at_us // SECOND, UTC).astimezone(CHINA)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC+8"
