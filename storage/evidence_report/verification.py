"""A verification as a document: what was found in a package, for people, to be printed and signed.

It is the finding of whoever ran the verifier, not a statement of the package's issuer. Not signed by
any key: people sign it, below. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bidwitness.intervals import total
from bidwitness.storage.evidence.report import (
    AUTHENTIC,
    FALSE,
    MEANT_FOR_EYES,
    PARTS,
    PROBLEMS_ZH,
    UNREADABLE,
    VERDICTS_EN,
    VERDICTS_ZH,
    Report,
    StreamReport,
    track_words,
)
from bidwitness.storage.evidence.tracks import DIFFERS, REBUILT
from bidwitness.storage.evidence_report import wording as say
from bidwitness.storage.evidence_report.sheet import Column, Frame, Sheet

# On paper; the rest is in the JSON.
MOST_PROBLEMS = 10 * MEANT_FOR_EYES
MOST_GAPS = 500
_BLANK = "_" * 34
LIMITS = (
    (
        "摄像机前的场景是否为摆拍;摄像机自身的时钟是否准确。",
        "Whether a scene was staged before the lens; whether a camera's own clock was right.",
    ),
    (
        "录制机收到之前是否已被替换:自镜头至录制机的一段不在证据之内。",
        "Whether it was replaced before the recorder received it: what lies between lens and recorder.",
    ),
    (
        "信任材料本身是否可信:本结论以所用信任材料(见“工具与信任材料”)为前提。",
        "Whether the trust material itself can be trusted: the verdict is relative to it.",
    ),
)


@dataclass(frozen=True)
class Policy:
    """The trust material that was used: its file's name and SHA-256."""

    name: str
    digest: str


@dataclass(frozen=True)
class Circumstances:
    """Who verified, when (µs UTC), with what. ``tool_digest``: SHA-256 of its checks, put into one file
    as packages hold them. ``recordings``: whether they were read."""

    operator: str
    begun: int
    ended: int
    tool: str
    tool_digest: str
    policy: Policy | None
    recordings: bool


def make_verification_report(report: Report, how: Circumstances) -> bytes:
    """Set the report as a PDF. The same findings, the same pages."""
    name = report.package.replace("\\", "/").rstrip("/").split("/")[-1]
    sheet = Sheet(
        Frame(
            title=f"证据包校验报告 {name}",
            author=how.operator or how.tool,
            head=("证据包校验报告", name[-60:]),
            foot=f"包摘要 Tag manifest {report.digest or '-'}",
            at=datetime.fromtimestamp(how.ended // say.SECOND, UTC),
        )
    )
    sheet.add_page()
    sheet.centred("证据包校验报告", 22, 13, strong=True)
    sheet.centred("PACKAGE VERIFICATION REPORT", 9, 6)
    sheet.double_rule()
    _verdict(sheet, report)
    _package(sheet, report, name)
    _proved(sheet, report, how)
    _not_proved(sheet, report)
    _tracks(sheet, report)
    _problems(sheet, report)
    _gaps(sheet, report)
    _log(sheet, report)
    _signatures(sheet, how)
    return bytes(sheet.output())


def _verdict(sheet: Sheet, report: Report) -> None:
    sheet.heading("一、结论", "Verdict")
    sheet.paragraph(VERDICTS_ZH[report.exit_code] + "。", VERDICTS_EN[report.exit_code], size=12)


def _package(sheet: Sheet, report: Report, name: str) -> None:
    sheet.heading("二、校验的对象", "What was verified")
    info = report.info
    sheet.pairs(
        [
            ("证据包", "Package", name),
            ("包摘要", "Tag manifest's SHA-256", say.grouped(report.digest) or "—"),
            ("场次", "Session", report.session or "—"),
            ("是否固化", "Sealed", "已固化 yes" if report.sealed else "未固化 no"),
            ("自称出具单位", "Issuer, by its own account", info.get("Source-Organization", "—")),
            ("自称内容", "Content, by its own account", info.get("External-Description", "—")),
            ("自称制作日期", "Made, by its own account", info.get("Bagging-Date", "—")),
        ]
    )
    sheet.ln(2)
    sheet.paragraph(
        "包摘要经由包内各清单确定包内每一个字节;与手中证据包比对一致,方为同一个包。"
        "自称各项取自包内说明,不属于所证明的内容。",
        "The tag manifest names every byte of the package through the other manifests: compare it. "
        "What the package says of itself is not proved.",
        size=8,
    )


def _proved(sheet: Sheet, report: Report, how: Circumstances) -> None:
    sheet.heading("三、证明了什么", "What is proved")
    for chinese, english in proved(report, how):
        sheet.paragraph(f"· {chinese}", english)


def proved(report: Report, how: Circumstances) -> list[tuple[str, str]]:
    """Give what follows from a verdict, and why."""
    if report.exit_code == UNREADABLE:
        return [("无:未能读取。", "Nothing: it could not be read.")]
    if report.exit_code == FALSE:
        return [
            (
                "本包与其自身或与信任材料相矛盾(见“发现的问题”),不能作为真实的整体采信。",
                "The package contradicts itself or the trust material: see the problems.",
            )
        ]
    said = [
        (
            "场次与各码流的记录前后相扣,与固化时所载首尾、认领、覆盖率一致:其间未增、未删、未改、未换序。",
            (
                "The records of the session and its streams are chained and agree with its close: nothing "
                "added, removed, altered or put in another order among them."
            ),
        )
    ]
    if how.recordings:
        said.append(
            (
                "包内每个录像文件的每个字节与其记录所载的 SHA-256"
                + ("、SM3 摘要一致。" if not _lacks_sm3(report) else "摘要一致。"),
                "Every byte of every recording in the package agrees with the digests in its record.",
            )
        )
    conversions = {track.conversion for stream in report.streams for track in stream.tracks}
    if REBUILT in conversions and DIFFERS not in conversions:
        said.append(
            (
                "由 FLAC 还原的 G.711 声音与录制机所收逐字节一致:转存没有改动声音。",
                "The G.711 rebuilt from FLAC is what the recorder received, byte for byte.",
            )
        )
    if report.exit_code == AUTHENTIC:
        said.append(
            (
                "上述记录均在存证账本中,账本检查点的签名、录制机的时段签名及共签符合所用信任材料。",
                (
                    "These records are in the log; its checkpoint, the recorder's epochs and cosignatures are "
                    "signed as the trust material asks."
                ),
            )
        )
    if report.stamps:
        latest = max(stamp["at"] for stamp in report.stamps)
        said.append(
            (
                f"时间戳表明:其所覆盖的账本条目不晚于 {say.instant(latest)}(北京时间)已经存在。",
                "The log's entries under each time stamp were there at its time.",
            )
        )
    return said


def _lacks_sm3(report: Report) -> bool:
    return any("SM3" in english for _, english in report.not_checked)


def _not_proved(sheet: Sheet, report: Report) -> None:
    sheet.heading("四、没有证明什么,为什么", "What is not proved, and why")
    for title, entries in (
        ("未获证明 not proven", report.unproven),
        ("未检验 not checked", report.not_checked),
        ("不能证明 cannot be proved", LIMITS),
        ("说明 note", report.notes),
    ):
        for chinese, english in entries:
            sheet.paragraph(
                f"· [{title.split(' ', 1)[0]}] {chinese}", f"[{title.split(' ', 1)[1]}] {english}"
            )


def _tracks(sheet: Sheet, report: Report) -> None:
    sheet.heading("五、逐轨结论", "Verdict by track")
    columns = (
        Column("码流", "Stream", 34),
        Column("轨道", "Track", 26),
        Column("认领", "Claimed", 20, right=True),
        Column("已录", "Recorded", 20, right=True),
        Column("占比", "Share", 15, right=True),
        Column("转存", "What became of what was received", 48),
        Column("结论", "Verdict", 22),
    )
    rows = [row for stream in report.streams for row in _track_rows(report, stream)]
    if rows:
        sheet.rows(columns, rows)
    else:
        sheet.paragraph("包内没有录像。", "There are no recordings in the package.")


def _track_rows(report: Report, stream: StreamReport) -> list[Sequence[str]]:
    claimed = total(stream.claimed)
    rows: list[Sequence[str]] = []
    for track in stream.tracks:
        recorded = stream.recorded_us.get(track.medium, 0)
        rows.append(
            (
                stream.stream,
                f"{say.zh('medium', track.medium)} {say.codec(track.codec)}",
                say.length(claimed),
                say.length(recorded),
                say.share(recorded, claimed),
                track_words(track)[0],
                PARTS[report.part_verdict(track.problems)],
            )
        )
    return rows


def _problems(sheet: Sheet, report: Report) -> None:
    sheet.heading("六、发现的问题", "Problems")
    if not report.problems:
        sheet.paragraph("未发现。", "None was found.")
        return
    columns = (
        Column("种类", "Kind", 26),
        Column("所在", "Where", 62),
        Column("说明", "What", 82),
    )
    rows = [
        (f"{PROBLEMS_ZH.get(item.kind, item.kind)} {item.kind}", item.where, item.detail)
        for item in report.problems[:MOST_PROBLEMS]
    ]
    sheet.rows(columns, rows)
    if len(report.problems) > MOST_PROBLEMS:
        sheet.paragraph(
            f"共 {len(report.problems)} 处,以上列出 {MOST_PROBLEMS} 处;其余见 --json。",
            f"{MOST_PROBLEMS} of {len(report.problems)} are listed; the others are in the JSON.",
        )


def _gaps(sheet: Sheet, report: Report) -> None:
    sheet.heading("七、缺口与未披露", "Gaps, and what is withheld")
    rows = [
        row
        for stream in report.streams
        for row in (
            *(
                (stream.stream, say.zh("medium", medium), say.span(part.start, part.end),
                 f"{say.zh('cause', cause)} {cause}")
                for cause, medium, part in stream.gaps
            ),
            *(
                (stream.stream, "全部", say.span(part.start, part.end), "原因不明 unknown")
                for part in stream.unexplained
            ),
            *(
                (stream.stream, "全部", say.span(part.start, part.end), "未披露 withheld")
                for part in stream.withheld
            ),
        )
    ]  # fmt: skip
    if not rows:
        sheet.paragraph("认领时间内无缺口,无整段未披露。", "None within the claimed times.")
        return
    columns = (
        Column("码流", "Stream", 40),
        Column("媒体", "Medium", 18),
        Column("起止(北京时间)", "From, to (UTC+8)", 72),
        Column("原因", "Cause", 40),
    )
    sheet.rows(columns, rows[:MOST_GAPS])
    if len(rows) > MOST_GAPS:
        sheet.paragraph(
            f"共 {len(rows)} 处,以上列出 {MOST_GAPS} 处;其余见 --json。",
            f"{MOST_GAPS} of {len(rows)} are listed; the others are in the JSON.",
        )


def _log(sheet: Sheet, report: Report) -> None:
    sheet.heading("八、账本、共签与时间戳", "Log, witnesses and time stamps")
    rows: list[tuple[str, str, str]] = []
    for log in report.logs:
        rows.append(("存证账本", "Log", f"{log['origin']},{log['size']} 条 entries"))
        rows.append(("账本公钥", "Its key, SHA-256", say.grouped(str(log["key"]))))
        rows += [
            ("共签机构", "Cosigned by", f"{w['name']} {say.instant(w['at'] * say.SECOND)}")
            for w in log["witnesses"]
        ]
    rows += [
        (
            "可信时间戳",
            "Time stamp",
            f"{s['name']} {say.instant(s['at'])}({s['origin']} {s['size']})",
        )
        for s in report.stamps
    ]
    if rows:
        sheet.pairs(rows)
    else:
        sheet.paragraph(
            "没有符合信任材料的账本。", "There is no log that the trust material speaks for."
        )


def _signatures(sheet: Sheet, how: Circumstances) -> None:
    sheet.heading("九、工具与信任材料", "Tool and trust material")
    policy = how.policy
    sheet.pairs(
        [
            ("校验工具", "Tool", how.tool),
            (
                "工具摘要",
                "Its checks, as verify.py",
                f"SHA-256 {say.grouped(how.tool_digest)}",
            ),
            (
                "信任材料",
                "Trust material",
                f"{policy.name}\nSHA-256 {say.grouped(policy.digest)}" if policy else "未提供 none",
            ),
            (
                "读取录像",
                "Recordings read",
                "是,逐字节 yes, every byte" if how.recordings else "否,只核对记录 no, records only",
            ),
            ("校验时间", "Verified", f"{say.span(how.begun, how.ended)} 北京时间 UTC+8"),
        ]
    )
    sheet.signed_off(
        [
            ("校验人", "Operator", how.operator or _BLANK),
            ("校验人签名", "Signature", _BLANK),
            ("见证人签名", "Witnessed by", _BLANK),
            ("单位(盖章)", "Organisation, seal", _BLANK),
        ],
        [say.day(how.ended)],
    )
