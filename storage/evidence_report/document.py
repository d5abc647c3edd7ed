"""A recording evidence report as a document: facts in, PDF/A-3 out. The same facts, the same pages."""

from datetime import UTC, datetime

from bidwitness.storage.evidence_report import wording as say
from bidwitness.storage.evidence_report.facts import (
    ReportFacts,
    digest_of_facts,
    facts_bytes,
)
from bidwitness.storage.evidence_report.parts import (
    LIMITS,
    MEANING,
    access_table,
    clock_table,
    coverage_table,
    gap_table,
    key_table,
    log_pairs,
    lot_words,
    place_words,
    sound_words,
    state_table,
    stream_table,
)
from bidwitness.storage.evidence_report.sheet import MARGIN, Frame, Sheet

FACTS_NAME = "facts.json"
CODE_SIZE = 34.0


def code_text(facts: ReportFacts) -> str:
    """Give what the QR code says: it names the report and what it is of; by itself it proves nothing."""
    return (
        f"BidWitness/1 report={facts.number} session={facts.sitting.session} "
        f"root={facts.root.leaf} digest={digest_of_facts(facts)}"
    )


def make_document(facts: ReportFacts) -> bytes:
    """Set the report. It is not signed yet. Pure."""
    digest = digest_of_facts(facts)
    sheet = Sheet(
        Frame(
            title=f"固证报告 {facts.number}",
            author=facts.issuer,
            head=(f"{facts.issuer} · 固证报告", f"编号 {facts.number}"),
            foot=f"场次根 Root {facts.root.leaf}" + f"  报告摘要 Digest {digest[:16]}…",
            at=datetime.fromtimestamp(facts.made // say.SECOND, UTC),
        )
    )
    sheet.add_page()
    _head(sheet, facts, digest)
    _sitting(sheet, facts)
    _summary(sheet, facts)
    _footage(sheet, facts)
    _circumstances(sheet, facts)
    _evidence(sheet, facts)
    _meaning(sheet, facts)
    sheet.attach(FACTS_NAME, facts_bytes(facts), "本报告所依据的事实 The facts of this report")
    return bytes(sheet.output())


def _head(sheet: Sheet, facts: ReportFacts, digest: str) -> None:
    sheet.centred(facts.issuer, 14, 9)
    sheet.centred("固 证 报 告", 25, 14, strong=True)
    sheet.centred("RECORDING EVIDENCE REPORT", 9, 6)
    sheet.double_rule()
    top = sheet.get_y()
    sheet.code(code_text(facts), 210 - MARGIN - CODE_SIZE, top + 1, CODE_SIZE)
    sheet.pairs(
        [
            ("编号", "Number", facts.number),
            ("出具时间", "Issued (UTC+8)", say.instant(facts.made, millis=False)),
            ("场次", "Session", facts.sitting.session),
            ("场次根", "Root (SHA-256)", say.grouped(facts.root.leaf)),
            ("报告摘要", "Digest of the facts", say.grouped(digest)),
        ],
        width=sheet.epw - CODE_SIZE - 5,
    )
    sheet.set_y(max(sheet.get_y(), top + CODE_SIZE + 2))


def _sitting(sheet: Sheet, facts: ReportFacts) -> None:
    sitting = facts.sitting
    due = say.span(sitting.due.start, sitting.due.end) if sitting.due else "无 none"
    sheet.heading("一、场次", "The session")
    sheet.pairs(
        [
            ("项目与标段", "Project and lot", lot_words(sitting.lots)),
            ("环节", "Kind", say.zh("session", sitting.kind)),
            ("场地", "Rooms", place_words(sitting.places)),
            ("计划时间", "Planned", say.span(sitting.planned.start, sitting.planned.end)),
            ("实际时间", "Actual", say.span(sitting.started, sitting.ended)),
            ("应录区间", "Due", due),
            ("结果", "Outcome", say.zh("outcome", sitting.outcome)),
            ("固化时间", "Sealed", say.instant(sitting.sealed)),
        ]
    )


def _summary(sheet: Sheet, facts: ReportFacts) -> None:
    due = sum(medium.due_us for medium in facts.media)
    recorded = sum(medium.recorded_us for medium in facts.media)
    gaps = sum(medium.gaps for medium in facts.media)
    sheet.heading("二、概况", "Summary")
    figures = f"应录合计 {say.length(due)},实录合计 {say.length(recorded)},覆盖率 {say.share(recorded, due)}"
    english = f"Due {say.length(due)}, recorded {say.length(recorded)} ({say.share(recorded, due)})"
    if gaps:
        figures += f";缺口 {gaps} 处,逐一列于第四部分。缺口如实列出,不影响本报告的出具。"
        english += (
            f"; {gaps} gap(s), listed in part 4. Gaps are stated; they do not block this report."
        )
    elif due:
        figures += ";未发现缺口。"
        english += "; no gap was found."
    else:
        figures += "。本场次没有应录时间。"
        english += ". Nothing was due."
    sheet.paragraph(f"各摄像机、各媒体合计:{figures}", f"Over all cameras and media: {english}")
    if facts.open_streams:
        sheet.paragraph(
            f"固化时有 {len(facts.open_streams)} 路码流的录制机失联,其录像尚未核实,待补充记录:"
            + "、".join(facts.open_streams),
            "The recorder of these streams was out of reach at the seal; a supplement is to follow.",
        )
    sheet.paragraph(
        "本报告时间均为北京时间(UTC+8),时长格式为 H:MM:SS.mmm,向下取整。",
        "Times are Beijing time (UTC+8); lengths are h:mm:ss.mmm, rounded down.",
        size=8,
    )


def _footage(sheet: Sheet, facts: ReportFacts) -> None:
    sheet.heading("三、应录与实录", "Due and recorded, by camera and medium")
    sheet.rows(*coverage_table(facts))
    for clip in facts.taken_off:
        sheet.paragraph(
            f"{clip.room} {clip.camera}:{say.span(clip.start, clip.end)} 由场次 {clip.session} "
            "自有认领,不计入本场次应录。",
            "This time is another session's own and was not due here.",
        )
    sheet.heading("四、缺口", "Gaps")
    columns, rows = gap_table(facts)
    if rows:
        sheet.rows(columns, rows)
        listed = len(rows)
        every = sum(medium.gaps for medium in facts.media)
        if listed < every:
            sheet.paragraph(
                f"共 {every} 处,以上列出 {listed} 处;其余见证据包中的记录。",
                f"{listed} of {every} are listed; the others are in the records.",
            )
    else:
        sheet.paragraph("无。", "None.")
    sheet.heading("五、码流、声音与试解码", "Streams, sound, and trial decoding")
    sheet.rows(*stream_table(facts))
    sheet.paragraph(
        "试解码:每路码流均匀抽取至多 5 个文件(含首尾),每个文件解码至多 50 帧图像与 200 块声音;"
        "表中为“抽取数/文件总数,解码帧块数”。未抽取的内容未经试解码。",
        "Trial decoding: of each stream up to 5 files, first and last among them, up to 50 pictures "
        "and 200 blocks of sound each. What was not sampled was not decoded.",
        size=8,
    )
    for chinese, english in sound_words(facts.streams):
        sheet.paragraph(chinese, english)


def _circumstances(sheet: Sheet, facts: ReportFacts) -> None:
    sheet.heading("六、时钟", "Clock quality")
    sheet.rows(*clock_table(facts.streams))
    sheet.paragraph(
        "“摄像机时钟”取自摄像机的 RTCP 报告;“回推”由其推算;“到达时间”为录制机收到时刻。"
        "偏差为摄像机时钟减录制机时钟的最小与最大值。录制机时钟与标准时间的偏差本系统未测量。",
        "Times come from the camera's RTCP reports, are extrapolated from them, or are those of "
        "arrival. The offset is camera minus recorder. The recorder's own offset from standard time "
        "is not measured.",
        size=8,
    )
    sheet.heading("七、录制机状态与告警", "State of recorder and clock")
    recorders = sorted({name for stream in facts.streams for name in stream.recorders})
    sheet.pairs(
        [
            ("出具软件", "Software", facts.software),
            ("录制机", "Recorders", "、".join(recorders) or "—"),
        ]
    )
    columns, rows = state_table(facts)
    sheet.ln(2)
    if rows:
        sheet.rows(columns, rows)
    else:
        sheet.paragraph(
            "场次期间没有关于本场次及其码流的告警,录制机时钟未被调整。",
            "No alarm about the session or its streams, and no step of a recorder's clock.",
        )


def _evidence(sheet: Sheet, facts: ReportFacts) -> None:
    sheet.heading("八、存证", "Evidence")
    root = facts.root
    sheet.pairs(
        [
            ("场次根", "Root", say.grouped(root.leaf)),
            ("所指记录", "Record", f"本场次第 {root.seq} 号记录（{root.kind}）的 SHA-256 叶摘要"),
            *log_pairs(facts.log),
        ]
    )
    sheet.ln(2)
    sheet.rows(*key_table(facts.keys))
    sheet.heading("九、调阅与复制", "Who had access")
    columns, rows = access_table(facts)
    if rows:
        sheet.rows(columns, rows)
    else:
        sheet.paragraph("截至出具时,无人查看或复制。", "Nobody has seen or copied it so far.")


def _meaning(sheet: Sheet, facts: ReportFacts) -> None:
    sheet.heading("十、证明什么,不证明什么", "What this proves, and what not")
    for chinese, english in (*MEANING, *LIMITS):
        sheet.paragraph(f"· {chinese}", english)
    sheet.signed_off(
        [("电子签名", "Signature", "PAdES，随本文件；纸质打印件上的签名无法核验")],
        [f"{facts.issuer}（场所 {facts.site}）", say.day(facts.made)],
    )
