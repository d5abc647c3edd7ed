"""Every error that a person or another program may meet.

::

    BidWitnessError
    ├── InvalidInput        422 / 64   what was given is wrong: names the field and the fix
    ├── Unauthenticated     401 / 77   nobody is signed in, or the credential is not good
    ├── Forbidden           403 / 77   signed in, but not allowed
    │   ├── PasswordChangeRequired     the password must be replaced before anything else
    │   └── SecondFactorRequired       a second factor must be set up before anything else
    ├── NotFound            404 / 66
    ├── Conflict            409 / 75   right in itself, but not in the present state
    │   └── NeedsApproval              nobody does it alone now: ``fields`` name the kind of act
    ├── TooMany             429 / 75   a rate limit
    │   └── TooLarge        413 / 75   a size limit
    ├── Unavailable         503 / 69   a part this needs does not answer; try again
    │   ├── StoreError                 the object store
    │   ├── IndexUnavailable           the database
    │   └── CameraError                a camera does not answer, or not with video
    ├── ConfigError         500 / 78   a setting is wrong or missing
    ├── DamageFound         500 / 65   stored bytes or records are not what was recorded
    │   └── FootageLost                they are not there any more
    └── StorageFull         507 / 74   no room for what must be written

The first figure is the HTTP status of the problem+json answer, the second the exit code of a
command (sysexits.h). Both borders read them here; nobody else maps errors.
"""

from collections.abc import Mapping
from typing import ClassVar


class BidWitnessError(Exception):
    """An error with a message made for people.

    ``detail`` says in one sentence what is wrong and what to do. ``kind`` is the stable name
    in problem+json (``urn:bidwitness:<kind>``). ``fields`` names offending inputs, if any.
    """

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70
    kind: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields: dict[str, str] = dict(fields or {})


class InvalidInput(BidWitnessError):
    status, exit_code, kind = 422, 64, "invalid-input"


class Unauthenticated(BidWitnessError):
    status, exit_code, kind = 401, 77, "unauthenticated"


class Forbidden(BidWitnessError):
    status, exit_code, kind = 403, 77, "forbidden"


class PasswordChangeRequired(Forbidden):
    kind = "password-change-required"


class SecondFactorRequired(Forbidden):
    kind = "second-factor-required"


class NotFound(BidWitnessError):
    status, exit_code, kind = 404, 66, "not-found"


class Conflict(BidWitnessError):
    status, exit_code, kind = 409, 75, "conflict"


class NeedsApproval(Conflict):
    kind = "needs-approval"


class TooMany(BidWitnessError):
    """``retry_after_s`` says when it is worth trying again, in seconds."""

    status, exit_code, kind = 429, 75, "too-many"

    def __init__(
        self,
        detail: str,
        *,
        fields: Mapping[str, str] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail, fields=fields)
        self.retry_after_s = retry_after_s


class TooLarge(TooMany):
    status, kind = 413, "too-large"


class Unavailable(BidWitnessError):
    status, exit_code, kind = 503, 69, "unavailable"


class StoreError(Unavailable):
    kind = "store"


class IndexUnavailable(Unavailable):
    kind = "index"


class CameraError(Unavailable):
    kind = "camera"


class ConfigError(BidWitnessError):
    status, exit_code, kind = 500, 78, "config"


class DamageFound(BidWitnessError):
    status, exit_code, kind = 500, 65, "damage"


class FootageLost(DamageFound):
    """The bytes are not there any more, though nobody gave them up."""

    kind = "footage-lost"


class StorageFull(BidWitnessError):
    status, exit_code, kind = 507, 74, "storage-full"
