"""How times, figures and words of the closed lists are written in a report. Pure."""

from datetime import UTC, datetime, timedelta, timezone

from bidwitness.words import (
    BookingRole,
    ClockQuality,
    GapCause,
    Medium,
    Outcome,
    RoomKind,
    SessionKind,
    SessionState,
    StreamAlarm,
    StreamRole,
    Word,
)

CHINA = timezone(timedelta(hours=8))
SECOND = 1_000_000
MILLION = 1_000_000
_LISTS: dict[str, type[Word]] = {
    "room": RoomKind,
    "session": SessionKind,
    "state": SessionState,
    "outcome": Outcome,
    "booking": BookingRole,
    "medium": Medium,
    "cause": GapCause,
    "quality": ClockQuality,
    "role": StreamRole,
}
_ALARMS = {
    **{alarm.value: alarm.zh for alarm in StreamAlarm},
    "clock_step": "录制机时钟被调整",
    "seal_open": "固化时录制机失联",
    "seal_refused": "固化被拒绝",
    "seal_waits": "固化等待录像提交",
    "overlap": "与其他场次重叠",
    "overrun": "超过计划结束时间",
}
_ACTS = {
    "playback.open": ("回放", "replay"),
    "playback.refused": ("回放", "replay"),
    "live.start": ("实时查看", "live view"),
    "snapshot.make": ("截图", "snapshot"),
    "snapshot.fetch": ("取走截图", "snapshot fetched"),
    "export.request": ("申请复制", "copy asked for"),
    "export.made": ("制作复制件", "copy made"),
    "export.fetch": ("取走复制件", "copy fetched"),
    "clip.write": ("导出片段", "clip"),
    "evidence_report.fetch": ("取走固证报告", "report fetched"),
    "evidence_report.made": ("出具固证报告", "report issued"),
    "evidence_report.request": ("申请出具固证报告", "report asked for"),
}
_CODECS = {
    "pcm_alaw": "G.711 A 律",
    "pcm_mulaw": "G.711 μ 律",
    "fLaC": "FLAC",
    "flac": "FLAC",
    "mp4a.40.2": "AAC",
    "aac": "AAC",
    "opus": "Opus",
}


def zh(kind: str, word: str | None) -> str:
    """Give the fixed Chinese name of a word of a closed list, or the word if it is of none."""
    if word is None:
        return "—"
    try:
        return _LISTS[kind](word).zh
    except ValueError:
        return word


def alarm(kind: str) -> str:
    return f"{_ALARMS[kind]} {kind}" if kind in _ALARMS else kind


def act(action: str) -> str:
    chinese, english = _ACTS.get(action, (action, ""))
    return f"{chinese} {english}".strip()


def codec(name: str) -> str:
    return _CODECS.get(name, name)


def instant(at_us: int | None, *, millis: bool = True) -> str:
    """Write an instant as it is read in China; rounded down."""
    if at_us is None:
        return "—"
    at = datetime.fromtimestamp(at_us // SECOND, UTC).astimezone(CHINA)
    tail = f".{at_us % SECOND // 1000:03d}" if millis else ""
    return f"{at:%Y-%m-%d %H:%M:%S}{tail}"


def day(at_us: int) -> str:
    """Write the day of an instant as the last line of a Chinese document has it."""
    at = datetime.fromtimestamp(at_us // SECOND, UTC).astimezone(CHINA)
    return f"{at.year}年{at.month}月{at.day}日"


def span(start_us: int, end_us: int) -> str:
    """Write two instants, the day once if they are of one."""
    first, last = instant(start_us), instant(end_us)
    return f"{first} – {last[11:] if first[:10] == last[:10] else last}"


def length(us: int) -> str:
    """Write a length of time as hours, minutes, seconds, milliseconds; rounded down."""
    seconds, millis = us // SECOND, us % SECOND // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{millis:03d}"


def share(part: int, whole: int) -> str:
    """Write a share in percent, rounded down: 100 means that nothing is missing."""
    if whole == 0:
        return "—"
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02d}%"


def signed_ms(us: int) -> str:
    millis = abs(us) // 1000
    sign = "" if millis == 0 else "-" if us < 0 else "+"
    return f"{sign}{millis} ms"


def size(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 100_000 else f"{count} B"


_HALF = str.maketrans(",:;()?!", "\uff0c\uff1a\uff1b\uff08\uff09\uff1f\uff01")


def typeset(text: str) -> str:
    """Give a Chinese sentence with the full-width points that Chinese is printed with."""
    out = []
    for before, char, after in zip(" " + text, text, text[1:] + " ", strict=False):
        beside = any("\u4e00" <= c <= "\u9fff" or c in "\u201c\u201d\u3002" for c in before + after)
        out.append(char.translate(_HALF) if beside else char)
    return "".join(out)


def grouped(digest: str) -> str:
    """Write a digest so that people can compare it: in groups of eight, four a line."""
    groups = [digest[i : i + 8] for i in range(0, len(digest), 8)]
    return "\n".join(" ".join(groups[i : i + 4]) for i in range(0, len(groups), 4))
