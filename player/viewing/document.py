"""A record of viewing as a document: facts in, PDF/A-3 out. The same facts, the same pages."""

from datetime import UTC, datetime

from bidwitness.player.viewing import wording
from bidwitness.player.viewing.facts import Reread, ViewingFacts
from bidwitness.storage.evidence_report import wording as say
from bidwitness.storage.evidence_report.parts import (
    clock_table,
    key_table,
    log_pairs,
    lot_words,
    place_words,
    sound_words,
)
from bidwitness.storage.evidence_report.sheet import MARGIN, Frame, Sheet
from bidwitness.words import Medium

NAME = "回放查看笔录"
FACTS_NAME = "facts.json"
CODE_SIZE = 34.0


def code_text(facts: ViewingFacts, digest: str) -> str:
    """Give what the QR code says: it names the record; by itself it proves nothing."""
    return f"BidWitness/1 viewing-record={facts.number} playback={facts.playback} digest={digest}"


def make_viewing_document(facts: ViewingFacts, attached: bytes, digest: str) -> bytes:
    """Set the record. ``attached``: its canonical bytes; ``digest``: their SHA-256. It is not
    signed yet. Pure."""
    sheet = Sheet(
        Frame(
            title=f"{NAME} {facts.number}",
            author=facts.issuer,
            head=(f"{facts.issuer} · {NAME}", f"编号 {facts.number}"),
            foot=f"笔录摘要 Digest {digest}",
            at=datetime.fromtimestamp(facts.made // say.SECOND, UTC),
        )
    )
    sheet.add_page()
    _head(sheet, facts, digest)
    _result(sheet, facts)
    _viewer(sheet, facts)
    _session(sheet, facts)
    _sent(sheet, facts)
    _clocks(sheet, facts)
    _verified(sheet, facts)
    _evidence(sheet, facts)
    _meaning(sheet, facts)
    sheet.attach(FACTS_NAME, attached, "本笔录所依据的事实 The facts of this record")
    return bytes(sheet.output())


def _head(sheet: Sheet, facts: ViewingFacts, digest: str) -> None:
    sheet.centred(facts.issuer, 14, 9)
    sheet.centred("回 放 查 看 笔 录", 25, 14, strong=True)
    sheet.centred("RECORD OF VIEWING", 9, 6)
    sheet.double_rule()
    top = sheet.get_y()
    sheet.code(code_text(facts, digest), 210 - MARGIN - CODE_SIZE, top + 1, CODE_SIZE)
    sheet.pairs(
        [
            ("编号", "Number", facts.number),
            ("出具时间", "Issued (UTC+8)", say.instant(facts.made, millis=False)),
            ("申请人", "Asked for by", facts.asked_by),
            ("回放", "Playback", facts.playback),
            ("笔录摘要", "Digest of the facts", say.grouped(digest)),
        ],
        width=sheet.epw - CODE_SIZE - 5,
    )
    sheet.set_y(max(sheet.get_y(), top + CODE_SIZE + 2))


def _result(sheet: Sheet, facts: ViewingFacts) -> None:
    found = facts.counted()
    streams = {item.stream for item in facts.sent if item.spans}
    counts = "、".join(f"{state.zh} {count} 个" for state, count in found.items() if count)
    english = ", ".join(f"{count} {state.value}" for state, count in found.items() if count)
    sheet.heading("一、概况", "Summary")
    sheet.paragraph(
        f"本次回放向查看人发送了 {len(streams)} 路码流、{len(facts.files)} 个录像文件中的内容;出具时重新核验:{counts}。",
        f"Parts of {len(facts.files)} file(s) of {len(streams)} stream(s) were sent to the viewer. "
        f"Read again when this was made: {english}.",
    )
    if found[Reread.OK] < len(facts.files):
        sheet.paragraph(
            "未列为“一致”的文件逐一载于第六部分,其内容是否仍为当时所见不能由所存字节证明。",
            "Files that are not ok are listed in part 6: that they are still what was seen then is not "
            "proved by the bytes stored now.",
        )
    sheet.paragraph(
        "本笔录时间均为北京时间(UTC+8),时长格式为 H:MM:SS.mmm,向下取整。",
        "Times are Beijing time (UTC+8); lengths are h:mm:ss.mmm, rounded down.",
        size=8,
    )


def _viewer(sheet: Sheet, facts: ViewingFacts) -> None:
    viewer = facts.viewer
    until = "正在录制,至当时 up to then" if facts.end is None else say.instant(facts.end)
    sheet.heading("二、查看人与授权", "The viewer and her grants")
    sheet.pairs(
        [
            ("查看人", "Viewer", f"{viewer.name}（{viewer.username}）"),
            ("岗位（出具时）", "Roles (when issued)", wording.roles_of(viewer.roles)),
            ("部门（出具时）", "Department (when issued)", viewer.department or "—"),
            ("地址", "From", viewer.address or "—"),
            ("打开时间", "Opened", say.instant(facts.opened)),
            (
                "关闭时间",
                "Closed",
                "出具时尚未关闭 still open" if facts.closed is None else say.instant(facts.closed),
            ),
            ("打开的时间范围", "Opened for", f"{say.instant(facts.start)} – {until}"),
        ]
    )
    sheet.ln(2)
    columns, rows = wording.grant_table(facts)
    if rows:
        sheet.rows(columns, rows)
    else:
        sheet.paragraph("没有授权:依岗位或值守查看。", "No grant: seen by role, or on duty.")


def _session(sheet: Sheet, facts: ViewingFacts) -> None:
    sheet.heading("三、场次", "The session")
    session = facts.session
    if session is None:
        sheet.paragraph(
            "本次回放不指向场次,按码流和时间打开。",
            "The viewing is of no session: it was opened by streams and time.",
        )
        return
    actual = "—"
    if session.started is not None:
        end = "至今 to now" if session.ended is None else say.instant(session.ended)
        actual = f"{say.instant(session.started)} – {end}"
    sheet.pairs(
        [
            ("场次", "Session", session.session),
            ("项目与标段", "Project and lot", lot_words(session.lots)),
            ("环节", "Kind", say.zh("session", session.kind)),
            ("状态", "State", f"{say.zh('state', session.state)} {session.state}"),
            ("场地", "Rooms", place_words(session.places)),
            ("实际时间", "Actual", actual),
        ]
    )


def _sent(sheet: Sheet, facts: ViewingFacts) -> None:
    sheet.heading("四、发送的码流、媒体与时间", "Streams, media and times that were sent")
    sheet.rows(*wording.sent_table(facts))
    most = max(len(item.spans) for item in facts.sent)
    if most > wording.MOST_SPANS:
        sheet.paragraph(
            f"每路媒体至多列出 {wording.MOST_SPANS} 段,其余见所附 facts.json。",
            f"{wording.MOST_SPANS} times of a medium are listed; the others are in facts.json.",
        )
    sheet.paragraph(*wording.RESOLUTION, size=8)
    for chinese, english in wording.ORIGINAL:
        sheet.paragraph(chinese, english, size=8)
    heard = {item.stream for item in facts.sent if item.medium == Medium.SOUND and item.spans}
    if heard:
        for chinese, english in sound_words(one for one in facts.streams if one.stream in heard):
            sheet.paragraph(chinese, english, size=8)


def _clocks(sheet: Sheet, facts: ViewingFacts) -> None:
    sheet.heading("五、时间基准与偏差", "Time base and skew")
    sheet.rows(*clock_table([stream for stream in facts.streams if stream.segments]))
    sheet.paragraph(
        "回放的时间基准是录制机时钟(协调世界时),由各文件记录中的锚点换算;表中为所发送录像中各种时间来源所占比例。"
        "“摄像机时钟”取自摄像机的 RTCP 报告;“回推”由其推算;“到达时间”为录制机收到时刻。"
        "偏差为摄像机时钟减录制机时钟的最小与最大值。录制机时钟与标准时间的偏差本系统未测量。",
        "The time base of replay is the recorder's clock (UTC), by the anchors in each file's record; the "
        "table says by what share of the footage sent a camera's time is from its RTCP reports, "
        "extrapolated from them, or that of arrival. The offset is camera minus recorder, least and "
        "greatest. The recorder's own offset from standard time is not measured.",
        size=8,
    )


def _verified(sheet: Sheet, facts: ViewingFacts) -> None:
    sheet.heading("六、所发送字节的核验", "The very bytes, verified")
    sheet.rows(*wording.result_table(facts))
    sheet.paragraph(*wording.REREADING, size=8)
    table, listed = wording.file_table(facts)
    sheet.rows(*table)
    for chinese, english in wording.differences(facts):
        sheet.paragraph(chinese, english, size=8)
    if listed < len(facts.files):
        sheet.paragraph(
            f"共 {len(facts.files)} 个文件,以上列出 {listed} 个(不一致者优先);全部见所附 facts.json。",
            f"{listed} of {len(facts.files)} files are listed, those that are not ok first; all of them "
            "are in facts.json.",
        )


def _evidence(sheet: Sheet, facts: ViewingFacts) -> None:
    trail = facts.trail
    sheet.heading("七、存证", "Evidence")
    if facts.covers:
        sheet.rows(*wording.cover_table(facts))
    session = log_pairs(facts.log) if facts.session is not None else []
    if session:
        session[0] = ("场次固化记录", "The session's close", session[0][2])
    sheet.pairs(
        [
            (
                "操作留痕",
                "Audit entries",
                (
                    f"{trail.entries} 条，编号 {trail.first} – {trail.last}，"
                    f"其中 {trail.logged} 条已写入存证账本 {trail.logged} of {trail.entries} in the log"
                ),
            ),
            ("出具软件", "Software", facts.software),
            *session,
        ]
    )
    sheet.ln(2)
    sheet.rows(*key_table(facts.keys))


def _meaning(sheet: Sheet, facts: ViewingFacts) -> None:
    sheet.heading("八、证明什么,不证明什么", "What this proves, and what not")
    for chinese, english in wording.MEANING:
        sheet.paragraph(f"· {chinese}", english)
    sheet.signed_off(
        [("电子签名", "Signature", "PAdES，随本文件；纸质打印件上的签名无法核验")],
        [f"{facts.issuer}（场所 {facts.site}）", say.day(facts.made)],
    )
