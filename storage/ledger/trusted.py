"""Whom the site asks to vouch for its log: the file that ``BIDWITNESS_WITNESSES`` names."""

from pathlib import Path

from bidwitness.errors import ConfigError
from bidwitness.storage.evidence.policy import NO_QUORUM, BadPolicy, Policy, read_policy

NOBODY = Policy((), (), {}, {}, NO_QUORUM)
SCHEMES = ("http://", "https://")


def read_trusted(path: Path | None) -> Policy:
    """Give the witnesses, their quorum, and the time-stamping authorities, with their addresses.

    Raises ``ConfigError`` naming the line that is wrong.
    """
    if path is None:
        return NOBODY
    try:
        policy = read_policy(path.read_bytes())
    except (OSError, BadPolicy) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"BIDWITNESS_WITNESSES: {path} cannot be used: {said}.") from None
    if policy.logs or policy.recorders or policy.reports:
        raise ConfigError(
            "BIDWITNESS_WITNESSES: keys of logs, recorders and reports are the site's to say."
        )
    for name in (*policy.witnesses, *policy.timestamps):
        # An authority that is asked no more stays trusted for what it has stamped.
        if name in policy.witnesses and name not in policy.urls:
            raise ConfigError(f"BIDWITNESS_WITNESSES: the witness {name} has no address.")
        if not policy.urls.get(name, SCHEMES[0]).startswith(SCHEMES):
            raise ConfigError(f"BIDWITNESS_WITNESSES: {name} has no address (https://…).")
    return policy
