"""Facts of an evidence report in which everything that can be said is said."""

from bidwitness.storage.evidence_report.facts import (
    AccessFacts,
    ClockFacts,
    KeyFacts,
    LogFacts,
    LotFacts,
    MediumFacts,
    MissingFacts,
    PlaceFacts,
    ProbeFacts,
    ReportFacts,
    RootFacts,
    SeenBy,
    SittingFacts,
    SoundFacts,
    Span,
    StateFacts,
    StreamFacts,
    TakenOffFacts,
)
from bidwitness.words import GapCause

SECOND = 1_000_000
START = 1_790_000_000 * SECOND
HOUR = 3600 * SECOND
ROOM = "第一开标室"
CAMERAS = ("主持席全景", "唱标台特写", "投标人席全景", "监督席")


def full_facts(number: str = "GZ-site-1-0123456789abcdef-001") -> ReportFacts:
    """Give a sitting of two hours before four cameras, one of which has a gap of each cause."""
    gaps = tuple(
        MissingFacts(
            START + i * 300 * SECOND, START + i * 300 * SECOND + (i + 1) * 1_700_000, cause
        )
        for i, cause in enumerate(GapCause)
    )
    media = [
        _medium(place, medium, gaps if place == 1 and medium == "picture" else ())
        for place in range(len(CAMERAS))
        for medium in ("picture", "sound")
    ]
    return ReportFacts(
        number=number,
        made=START + 3 * HOUR,
        site="site-1",
        issuer="某某市公共资源交易中心",
        software="BidWitness 9.8.7",
        sitting=_sitting(),
        open_streams=(),
        media=tuple(media),
        taken_off=(
            TakenOffFacts(CAMERAS[3], ROOM, "fedcba9876543210", START, START + 60 * SECOND),
        ),
        streams=tuple(_stream(place, role) for place in range(4) for role in ("main", "sub")),
        root=RootFacts(7, "close", "0123456789abcdef" * 4),
        log=LogFacts(
            origin="site-1/log/2026",
            position=1234,
            at=START + 2 * HOUR + 40 * SECOND,
            covered=True,
            witnesses=(SeenBy("city.example", START + 2 * HOUR + 50 * SECOND),),
            stamps=(SeenBy("stamps.example", START + 2 * HOUR + 60 * SECOND),),
        ),
        keys=(
            KeyFacts("log", "site-1/log/2026", "1a" * 32),
            KeyFacts("recorder", "site-1/recorder/rec-1", "2b" * 32),
            KeyFacts("report", "CN=site-1 evidence report,O=某某市公共资源交易中心", "3c" * 32),
        ),
        states=(
            StateFacts("packet_loss", f"stream:{1:016x}", START + SECOND, START + 9 * SECOND),
            StateFacts("clock_step", "recorder:rec-1", START + 5 * SECOND, START + 5 * SECOND),
        ),
        access=(
            AccessFacts("王丽", "playback.open", 3, 0, START + 2 * HOUR, START + 3 * HOUR),
            AccessFacts("auditor", "export.request", 1, 2, START + 2 * HOUR, START + 2 * HOUR),
        ),
    )


def _sitting() -> SittingFacts:
    return SittingFacts(
        session="0123456789abcdef",
        kind="opening",
        state="sealed",
        outcome="completed",
        lots=(
            LotFacts("JSGC-2026-0117", "滨江路市政道路改造工程", "-", ""),
            LotFacts("ZFCG-2026-0355", "智慧校园设备采购", "2", "多媒体教室设备"),
        ),
        places=(PlaceFacts(ROOM, "opening", "main", ("A1", "A2"), START, START + 2 * HOUR),),
        planned=Span(START, START + 2 * HOUR),
        started=START + SECOND,
        ended=START + 2 * HOUR,
        sealed=START + 2 * HOUR + 30 * SECOND,
        due=Span(START, START + 2 * HOUR),
    )


def _medium(place: int, medium: str, gaps: tuple[MissingFacts, ...]) -> MediumFacts:
    lost = sum(gap.end - gap.start for gap in gaps)
    return MediumFacts(
        camera=CAMERAS[place],
        room=ROOM,
        stream=f"{place:016x}",
        medium=medium,
        due_us=2 * HOUR,
        recorded_us=2 * HOUR - lost,
        degraded_us=12 * SECOND if gaps else 0,
        gaps=len(gaps),
        missing=gaps,
    )


def _stream(place: int, role: str) -> StreamFacts:
    main = role == "main"
    return StreamFacts(
        stream=f"{place:016x}" if main else f"{place + 100:016x}",
        camera=CAMERAS[place],
        room=ROOM,
        role=role,
        recorders=("rec-1",),
        segments=900,
        bytes=4_812_345_678,
        runs=1 + place,
        first=START,
        last=START + 2 * HOUR,
        pictures=("avc1.640028",),
        sounds=(SoundFacts("pcm_alaw", "fLaC", 900, 900),) if main else (),
        clocks=(ClockFacts("camera", 7190 * SECOND), ClockFacts("extrapolated", 10 * SECOND)),
        offset=(-12_000, 34_000) if main else (),
        probe=ProbeFacts(900, 5, 1250, ("ab" * 32,) if place == 2 and main else ()),
    )
