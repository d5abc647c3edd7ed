"""What a verification found: a value, as JSON, and as a text for people (Chinese first)."""

import json
from dataclasses import dataclass, field
from typing import Any

from bidwitness.intervals import Interval, total
from bidwitness.storage.evidence.chain import Problem
from bidwitness.storage.evidence.records import utc_text
from bidwitness.storage.evidence.tracks import (
    AS_RECEIVED,
    DIFFERS,
    NOT_REBUILT,
    NOT_STATED,
    REBUILT,
    WITHHELD,
    TrackReport,
    count_problems,
)

AUTHENTIC, FALSE, UNREADABLE, UNPROVEN = 0, 1, 2, 3
VERDICTS = {0: "authentic", 1: "not_authentic", 2: "unreadable", 3: "unproven"}


@dataclass
class StreamReport:
    """What a package holds and proves of one stream, within the session's claims."""

    stream: str
    claimed: list[Interval] = field(default_factory=list)
    segments: int = 0
    partial: int = 0
    withheld: list[Interval] = field(default_factory=list)
    bytes: int = 0
    recorded_us: dict[str, int] = field(default_factory=dict)
    gaps: list[tuple[str, str, Interval]] = field(default_factory=list)
    unexplained: list[Interval] = field(default_factory=list)
    tracks: list[TrackReport] = field(default_factory=list)
    problems: int = 0


@dataclass
class Report:
    """The whole answer. ``notes``: true and worth knowing, but nothing wrong. ``unproven``: why it
    is not authentic though nothing is wrong. ``logs``: what agreed with the trust material.
    ``digest``: SHA-256 of the tag manifest, which through the other manifests names every byte of the package."""

    package: str
    exit_code: int = UNPROVEN
    session: str | None = None
    sealed: bool = False
    digest: str = ""
    info: dict[str, str] = field(default_factory=dict)
    streams: list[StreamReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unproven: list[tuple[str, str]] = field(default_factory=list)
    # Of published trust material: which version, checked against what, countersigned by whom.
    trust: dict[str, Any] | None = None
    logs: list[dict[str, Any]] = field(default_factory=list)
    stamps: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    not_checked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return VERDICTS[self.exit_code]

    def assign_problems(self) -> None:
        """Count the problems of each stream and track. Call when all are known."""
        for stream in self.streams:
            stream.problems = count_problems(self.problems, stream.stream, stream.tracks)

    def unchecked_sounds(self) -> list[tuple[str, str]]:
        """Say what of the sound's conversion was not held against anything."""
        found = {track.conversion for stream in self.streams for track in stream.tracks}
        said = {NOT_REBUILT: NO_SOUND, NOT_STATED: NO_SOUND_STATED}
        return [words for state, words in said.items() if state in found]

    def part_verdict(self, problems: int) -> str:
        """Give the verdict on a stream or track with so many problems of its own."""
        if problems:
            return VERDICTS[FALSE]
        return VERDICTS[AUTHENTIC] if self.exit_code == AUTHENTIC else "consistent"


NOT_CHECKED = (
    ("timeline.json 中的房间与摄像机名称", "names of rooms and cameras in timeline.json"),
    ("摄像机前的场景是否摆拍", "whether a scene was staged before the lens"),
)
NO_SOUND = (
    "由 FLAC 还原所收 G.711 声音(bidwitness verify 可还原比对)",
    "that FLAC gives back the G.711 that was received (bidwitness verify rebuilds it)",
)
NO_SOUND_STATED = (
    "声音转存是否无损:其记录未载明所收声音的摘要",
    "that sound was stored without loss, where its record has no digest of what was received",
)
UNSEALED = ("场次未固化,无法证明内容齐全", "not sealed: nothing says that this is all")
NO_SM3 = ("SM3 摘要(本机 Python 不支持)", "SM3 digests (this Python does not know SM3)")
NO_MEDIA = (
    "录像文件的内容(按要求只核对记录)",
    "the bytes of the recordings (only the records were asked for)",
)


PROBLEMS_ZH = {
    "modified": "被修改",
    "removed": "被删除",
    "inserted": "多出",
    "reordered": "次序被改动",
    "swapped": "被调换",
    "missing": "缺失",
    "inconsistent": "前后不一致",
    "unreadable": "无法读取",
}
VERDICTS_ZH = {
    AUTHENTIC: "真实:与包外信任材料相符",
    FALSE: "不真实:发现下列问题",
    UNREADABLE: "无法读取:不是可识别的证据包",
    UNPROVEN: "自洽但未获证明:包内各项相互一致,但未获包外信任材料充分印证",
}
VERDICTS_EN = {
    AUTHENTIC: "authentic: agrees with the trust material from outside the package",
    FALSE: "NOT authentic: see the problems below",
    UNREADABLE: "unreadable: not a package that can be read",
    UNPROVEN: "consistent but unproven: what is outside the package does not (fully) vouch for it",
}
PARTS = {
    "authentic": "真实 authentic",
    "not_authentic": "不真实 NOT authentic",
    "consistent": "自洽 consistent",
}
MEDIA_ZH = {"picture": "图像", "sound": "声音", "screen": "专家桌面", "all": "全部"}
MEANT_FOR_EYES = 20


def report_json(report: Report) -> str:
    """Give the report as one JSON object; times are µs UTC."""
    return json.dumps(
        {
            "package": report.package,
            "verdict": report.verdict,
            "exit_code": report.exit_code,
            "session": report.session,
            "sealed": report.sealed,
            "tagmanifest_sha256": report.digest,
            "info": report.info,
            "problems": [vars(problem) for problem in report.problems],
            "trust": report.trust,
            "unproven": [english for _, english in report.unproven],
            "logs": report.logs,
            "stamps": report.stamps,
            "reports": report.reports,
            "notes": [english for _, english in report.notes],
            "not_checked": [english for _, english in report.not_checked],
            "streams": [_stream_json(report, stream) for stream in report.streams],
        },
        ensure_ascii=False,
        indent=1,
    )


def _stream_json(report: Report, stream: StreamReport) -> dict[str, object]:
    return {
        "stream": stream.stream,
        "verdict": report.part_verdict(stream.problems),
        "claimed": _spans(stream.claimed),
        "claimed_us": total(stream.claimed),
        "segments": stream.segments,
        "partial": stream.partial,
        "withheld": _spans(stream.withheld),
        "bytes": stream.bytes,
        "recorded_us": stream.recorded_us,
        "gaps": [
            {"cause": cause, "medium": medium, "from": part.start, "to": part.end}
            for cause, medium, part in stream.gaps
        ],
        "unexplained": _spans(stream.unexplained),
        "tracks": [
            {
                "medium": track.medium,
                "codec": track.codec,
                "source_codec": track.source_codec,
                "verdict": report.part_verdict(track.problems),
                "files": track.files,
                "conversion": track.conversion,
                "fragments": track.fragments,
                "fragments_rebuilt": track.rebuilt,
            }
            for track in stream.tracks
        ],
    }


def _spans(spans: list[Interval]) -> list[list[int]]:
    return [[span.start, span.end] for span in spans]


def report_text(report: Report) -> str:
    """Give the report for people, Chinese first, then English."""
    lines = [
        f"证据包 Package: {report.package}",
        f"场次 Session: {report.session or '-'} ({'已固化 sealed' if report.sealed else '未固化 not sealed'})",
        f"包摘要 Tag manifest's SHA-256: {report.digest or '-'}",
        f"结论 Verdict: {VERDICTS_ZH[report.exit_code]}",
        f"              {VERDICTS_EN[report.exit_code]}",
    ]
    for stream in report.streams:
        lines += _stream_text(report, stream)
    if report.problems:
        lines += ["", f"问题 Problems ({len(report.problems)}):"]
    for problem in report.problems[:MEANT_FOR_EYES]:
        kind = f"{PROBLEMS_ZH.get(problem.kind, problem.kind)} {problem.kind}"
        lines.append(f"  - [{kind}] {problem.where}: {problem.detail}")
    if len(report.problems) > MEANT_FOR_EYES:
        lines.append(f"  … {len(report.problems) - MEANT_FOR_EYES} more: see --json")
    lines += [""] if report.logs or report.trust else []
    lines += _trust_text(report.trust) if report.trust else []
    for log in report.logs:
        lines += _log_text(log)
    lines += [
        f"可信时间戳 Time stamp {stamp['name']}: {utc_text(stamp['at'])}, "
        f"{stamp['origin']} 前 first {stamp['size']} 条 entries"
        for stamp in report.stamps
    ]
    for title, entries in (
        ("尚未证明 Not proven", report.unproven),
        ("说明 Notes", report.notes),
        ("未检验 Not checked", report.not_checked),
    ):
        if entries:
            lines += ["", f"{title}:"]
            lines += [f"  - {chinese}; {english}" for chinese, english in entries]
    return "".join(f"{_visible(line)}\n" for line in lines)


def _trust_text(trust: dict[str, Any]) -> list[str]:
    checked = "已用包外公钥核对 checked against the key given"
    told = checked if trust["checked"] else "未用包外公钥核对 NOT checked against a key"
    lines = [
        (
            f"信任材料 Trust material {trust['site']}: 第 {trust['version']} 版 version "
            f"{trust['version']}, {trust['day']}, {told}"
        ),
        f"  SHA-256 {trust['digest']}",
    ]
    lines += [
        f"  共签 countersigned {who['name']} {utc_text(who['at'] * 1_000_000)}"
        for who in trust["countersigned"]
    ]
    return lines + [f"  未共签 NOT countersigned {name}" for name in trust["missing"]]


def _log_text(log: dict[str, Any]) -> list[str]:
    told = f"存证账本 Log {log['origin']}: {log['size']} 条 entries, 公钥 key {log['key']}"
    return [told] + [
        f"  共签 cosigned  {witness['name']} {utc_text(witness['at'] * 1_000_000)}"
        for witness in log["witnesses"]
    ]


def _visible(text: str) -> str:
    """What a package says must not be able to move the cursor of who reads it."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def track_words(track: TrackReport) -> tuple[str, str]:
    """Say in Chinese and English what became of what the camera sent."""
    source = track.source_codec or track.codec
    return {
        AS_RECEIVED: ("记录载明按原码存储", "stored as it was received, as its records say"),
        REBUILT: (
            f"由 {track.codec} 还原的 {source} 与所收逐字节一致({track.rebuilt} 段)",
            (
                f"the {source} rebuilt from {track.codec} is what was received, byte for byte "
                f"({track.rebuilt} fragments)"
            ),
        ),
        DIFFERS: (
            f"由 {track.codec} 还原的 {source} 与所收不一致({track.rebuilt}/{track.fragments} 段一致)",
            (
                f"the {source} rebuilt from {track.codec} is NOT what was received "
                f"({track.rebuilt} of {track.fragments} fragments are)"
            ),
        ),
        NOT_REBUILT: (
            f"由 {source} 转存;未还原比对",
            f"stored from {source}; not rebuilt, not compared",
        ),
        NOT_STATED: (
            f"由 {source} 转存;记录未载明所收字节的摘要",
            f"stored from {source}; the records have no digest of what was received",
        ),
        WITHHELD: ("本包未披露其内容", "nothing of it is in this package"),
    }[track.conversion]


def _stream_text(report: Report, stream: StreamReport) -> list[str]:
    lines = ["", f"码流 Stream {stream.stream}: {PARTS[report.part_verdict(stream.problems)]}"]
    lines += [f"  认领 claimed  {_span_text(span)}" for span in stream.claimed]
    held = f"{stream.segments} 段 segments, {stream.bytes} bytes"
    if stream.partial:
        held += f", 其中部分披露 {stream.partial} disclosed in part"
    lines.append(f"  录像 footage  {held}")
    for medium, recorded in stream.recorded_us.items():
        due = total(stream.claimed)
        lines.append(
            f"  {MEDIA_ZH.get(medium, medium)} {medium}: {recorded / 1_000_000:.3f} s / "
            f"{due / 1_000_000:.3f} s"
        )
    for track in stream.tracks:
        chinese, english = track_words(track)
        told = PARTS[report.part_verdict(track.problems)]
        name = f"{MEDIA_ZH.get(track.medium, track.medium)} {track.medium} {track.codec}"
        lines.append(f"  轨道 track    {name}: {told}; {chinese}; {english}")
    lines += [
        f"  缺口 gap      {_span_text(part)} {MEDIA_ZH.get(medium, medium)} {cause}"
        for cause, medium, part in stream.gaps
    ]
    lines += [f"  缺口 gap      {_span_text(part)} 原因不明 unknown" for part in stream.unexplained]
    lines += [f"  未披露 withheld {_span_text(part)}" for part in stream.withheld]
    return lines


def _span_text(span: Interval) -> str:
    return f"{utc_text(span.start)} – {utc_text(span.end)}"
