"""Whose copy it is, in words; and of which cameras films are made."""

import pytest

from bidwitness.access import Ground
from bidwitness.errors import InvalidInput
from bidwitness.intervals import Interval
from bidwitness.player.export import Share, StreamShare
from bidwitness.player.rights import Permission
from bidwitness.player.watermarked import Recipient, filmed
from bidwitness.storage.sights import StreamView
from bidwitness.words import Medium, RoomKind, StreamRole

ALLOWED = Permission((Interval(0, 10),), (), Ground.GRANT, protected=False)
WHO = Recipient(
    *("abc", "王审计", "wang", "住建局", "10.0.0.7", 1_700_000_000_000_000),
    *("s1", ("g1",), "case 7"),
)


def share(camera: str, role: StreamRole, *media: Medium) -> StreamShare:
    view = StreamView(
        *(f"{camera}-{role}", role, tuple(Medium), (), camera, camera, "r1", "评标室一"),
        *(RoomKind.EVALUATION, ()),
    )
    return StreamShare(view, dict.fromkeys(media, ALLOWED))


def of(*streams: StreamShare) -> Share:
    return Share(Interval(0, 10), streams, ("g1",))


def test_main_pictures_come_first() -> None:
    main, sub = StreamRole.MAIN, StreamRole.SUB
    both = (Medium.PICTURE, Medium.SOUND)
    found = filmed(
        of(share("a", sub, *both), share("a", main, *both), share("b", sub, Medium.PICTURE))
    )
    assert [s.view.stream_id for s in found] == ["a-main", "a-sub", "b-sub"]
    # Of a main stream whose sound alone may be copied there is no film.
    assert [
        s.view.role for s in filmed(of(share("a", main, Medium.SOUND), share("a", sub, *both)))
    ] == [sub]


def test_sound_alone_bears_no_watermark() -> None:
    with pytest.raises(InvalidInput) as error:
        filmed(of(share("a", StreamRole.MAIN, Medium.SOUND)))
    assert set(error.value.fields) == {"form"}


def test_it_names_viewer_department_address_time_and_numbers() -> None:
    said = WHO.mark + "".join(WHO.caption("评标室一 全景"))
    for part in ("王审计", "wang", "住建局", "10.0.0.7", "2023-11-15T06:13:20", "abc", "g1", "s1"):
        assert part in said
    assert "住建局" in WHO.mark and "10.0.0.7" in WHO.mark and "abc" in WHO.mark
