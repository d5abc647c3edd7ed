"""What a verification found: a value, as JSON, and as a text for people (Chinese first)."""

import json
from dataclasses import dataclass, field
from typing import Any

from bidwitness.intervals import Interval, total
from bidwitness.storage.evidence.chain import Problem
from bidwitness.storage.evidence.records import utc_text

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
    problems: int = 0


@dataclass
class Report:
    """The whole answer. ``notes``: true and worth knowing, but nothing wrong. ``unproven``: why it
    is not authentic though nothing is wrong. ``logs``: what agreed with the trust material."""

    package: str
    exit_code: int = UNPROVEN
    session: str | None = None
    sealed: bool = False
    info: dict[str, str] = field(default_factory=dict)
    streams: list[StreamReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unproven: list[tuple[str, str]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    stamps: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    not_checked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return VERDICTS[self.exit_code]


NOT_CHECKED = (
    ("G.711 声音转为 FLAC 的无损性", "that sound went from G.711 to FLAC without loss"),
    ("timeline.json 中的房间与摄像机名称", "names of rooms and cameras in timeline.json"),
    ("摄像机前的场景是否摆拍", "whether a scene was staged before the lens"),
)
NO_SM3 = ("SM3 摘要(本机 Python 不支持)", "SM3 digests (this Python does not know SM3)")
NO_MEDIA = (
    "录像文件的内容(按要求只核对记录)",
    "the bytes of the recordings (only the records were asked for)",
)


_PROBLEMS_ZH = {
    "modified": "被修改",
    "removed": "被删除",
    "inserted": "多出",
    "reordered": "次序被改动",
    "swapped": "被调换",
    "missing": "缺失",
    "inconsistent": "前后不一致",
    "unreadable": "无法读取",
}
_VERDICTS_ZH = {
    AUTHENTIC: "真实:与包外信任材料相符",
    FALSE: "不真实:发现下列问题",
    UNREADABLE: "无法读取:不是可识别的证据包",
    UNPROVEN: "自洽但未获证明:包内各项相互一致,但未获包外信任材料充分印证",
}
_VERDICTS_EN = {
    AUTHENTIC: "authentic: agrees with the trust material from outside the package",
    FALSE: "NOT authentic: see the problems below",
    UNREADABLE: "unreadable: not a package that can be read",
    UNPROVEN: "consistent but unproven: what is outside the package does not (fully) vouch for it",
}
_MEDIA_ZH = {"picture": "图像", "sound": "声音", "screen": "专家桌面", "all": "全部"}
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
            "info": report.info,
            "problems": [vars(problem) for problem in report.problems],
            "unproven": [english for _, english in report.unproven],
            "logs": report.logs,
            "stamps": report.stamps,
            "reports": report.reports,
            "notes": [english for _, english in report.notes],
            "not_checked": [english for _, english in report.not_checked],
            "streams": [_stream_json(stream) for stream in report.streams],
        },
        ensure_ascii=False,
        indent=1,
    )


def _stream_json(stream: StreamReport) -> dict[str, object]:
    return {
        "stream": stream.stream,
        "verdict": "not_authentic" if stream.problems else "consistent",
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
    }


def _spans(spans: list[Interval]) -> list[list[int]]:
    return [[span.start, span.end] for span in spans]


def report_text(report: Report) -> str:
    """Give the report for people, Chinese first, then English."""
    lines = [
        f"证据包 Package: {report.package}",
        f"场次 Session: {report.session or '-'} ({'已固化 sealed' if report.sealed else '未固化 not sealed'})",
        f"结论 Verdict: {_VERDICTS_ZH[report.exit_code]}",
        f"              {_VERDICTS_EN[report.exit_code]}",
    ]
    for stream in report.streams:
        lines += _stream_text(stream)
    if report.problems:
        lines += ["", f"问题 Problems ({len(report.problems)}):"]
    for problem in report.problems[:MEANT_FOR_EYES]:
        kind = f"{_PROBLEMS_ZH.get(problem.kind, problem.kind)} {problem.kind}"
        lines.append(f"  - [{kind}] {problem.where}: {problem.detail}")
    if len(report.problems) > MEANT_FOR_EYES:
        lines.append(f"  … {len(report.problems) - MEANT_FOR_EYES} more: see --json")
    lines += [""] if report.logs else []
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


def _log_text(log: dict[str, Any]) -> list[str]:
    told = f"存证账本 Log {log['origin']}: {log['size']} 条 entries, 公钥 key {log['key']}"
    return [told] + [
        f"  共签 cosigned  {witness['name']} {utc_text(witness['at'] * 1_000_000)}"
        for witness in log["witnesses"]
    ]


def _visible(text: str) -> str:
    """What a package says must not be able to move the cursor of who reads it."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _stream_text(stream: StreamReport) -> list[str]:
    verdict = "不真实 NOT authentic" if stream.problems else "自洽 consistent"
    lines = ["", f"码流 Stream {stream.stream}: {verdict}"]
    lines += [f"  认领 claimed  {_span_text(span)}" for span in stream.claimed]
    held = f"{stream.segments} 段 segments, {stream.bytes} bytes"
    if stream.partial:
        held += f", 其中部分披露 {stream.partial} disclosed in part"
    lines.append(f"  录像 footage  {held}")
    for medium, recorded in stream.recorded_us.items():
        due = total(stream.claimed)
        lines.append(
            f"  {_MEDIA_ZH.get(medium, medium)} {medium}: {recorded / 1_000_000:.3f} s / "
            f"{due / 1_000_000:.3f} s"
        )
    lines += [
        f"  缺口 gap      {_span_text(part)} {_MEDIA_ZH.get(medium, medium)} {cause}"
        for cause, medium, part in stream.gaps
    ]
    lines += [f"  缺口 gap      {_span_text(part)} 原因不明 unknown" for part in stream.unexplained]
    lines += [f"  未披露 withheld {_span_text(part)}" for part in stream.withheld]
    return lines


def _span_text(span: Interval) -> str:
    return f"{utc_text(span.start)} – {utc_text(span.end)}"
