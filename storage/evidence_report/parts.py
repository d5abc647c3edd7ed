"""The tables and fixed words of a report. Pure."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from bidwitness.storage.evidence_report import wording as say
from bidwitness.storage.evidence_report.facts import (
    KeyFacts,
    LogFacts,
    LotFacts,
    PlaceFacts,
    ReportFacts,
    SoundFacts,
    StreamFacts,
)
from bidwitness.storage.evidence_report.sheet import Column
from bidwitness.words import ClockQuality

Table: TypeAlias = tuple[Sequence[Column], Sequence[Sequence[str]]]
MEANING = (
    (
        (
            "本报告由出具单位的密钥签名(PAdES)。签名有效说明:签名以后文件没有改动,且签名者持有该密钥。"
            "所附证书若为自签证书,其本身不证明签名者身份:应将证书指纹与出具单位另行公布的信任材料核对。"
        ),
        (
            "Signed by the issuer's key (PAdES): nothing was changed since. A self-made certificate does "
            "not say whose the key is: compare its fingerprint with the trust material that the issuer "
            "publishes elsewhere."
        ),
    ),
    (
        (
            "场次根是本场次最后一条记录的摘要;该记录逐一指向全部码流的记录链,记录中载明每个录像文件的摘要。"
            "以证据包和校验程序(bidwitness verify 或包内 verify.py)可逐字节核对。"
        ),
        (
            "The root is the digest of the session's last record, which points into the chains of all "
            "streams, whose records hold the digest of every file. A package and its verifier check "
            "every byte against it."
        ),
    ),
)
LIMITS = (
    (
        "不证明摄像机前的场景真实(可能摆拍),不证明摄像机自身时钟准确,不证明未列入应录的内容。",
        (
            "Not proved: that a scene was not staged before the lens, that a camera's own clock was "
            "right, anything that was not due."
        ),
    ),
    (
        "名称(项目、房间、摄像机、人员)、告警与调阅情况取自本系统数据库,不由场次根约束。",
        (
            "Names of projects, rooms, cameras and people, alarms and accesses are from this system's "
            "database; the root does not bind them."
        ),
    ),
)


def lot_words(lots: Iterable[LotFacts]) -> str:
    """Name projects and lots, one a line."""
    lines = [
        " ".join(word for word in (lot.project, lot.lot if lot.lot != "-" else "", name) if word)
        for lot in lots
        for name in [lot.lot_name if lot.lot != "-" and lot.lot_name else lot.project_name]
    ]
    return "\n".join(lines) or "—"


def place_words(places: Iterable[PlaceFacts]) -> str:
    """Name the booked rooms with their times."""
    lines = [
        f"{place.room}（{say.zh('room', place.kind)}，{say.zh('booking', place.role)}"
        + (f"，席位 {'、'.join(place.seats)}" if place.seats else "")
        + f"）\n{say.span(place.start, place.end)}"
        for place in places
    ]
    return "\n".join(lines) or "—"


def log_pairs(log: LogFacts | None) -> list[tuple[str, str, str]]:
    """Say where a session's close stands in the log, and who has vouched for it."""
    if log is None:
        return [("存证账本", "Log", "出具时固化记录尚未写入存证账本 Not in the log at that time.")]
    covered = "是 yes" if log.covered else "尚未全部 not yet all of it"
    witnesses = "\n".join(f"{w.name} {say.instant(w.at, millis=False)}" for w in log.witnesses)
    stamps = "\n".join(f"{s.name} {say.instant(s.at, millis=False)}" for s in log.stamps)
    return [
        ("存证账本", "Log", f"{log.origin} 第 {log.position} 条 entry {log.position}"),
        ("写入时间", "Logged", say.instant(log.at)),
        ("录像已入账", "Footage covered", covered),
        ("共签机构", "Cosigned by", witnesses or "无 none"),
        ("可信时间戳", "Time stamps", stamps or "无 none"),
    ]


def coverage_table(facts: ReportFacts) -> Table:
    columns = (
        Column("房间 · 摄像机", "Room, camera", 46),
        Column("媒体", "Medium", 20),
        Column("应录", "Due", 24, right=True),
        Column("实录", "Recorded", 24, right=True),
        Column("覆盖率", "Coverage", 18, right=True),
        Column("仅子码流", "Sub only", 24, right=True),
        Column("缺口", "Gaps", 12, right=True),
    )
    rows = [
        (
            f"{item.room} · {item.camera}",
            say.zh("medium", item.medium),
            say.length(item.due_us),
            say.length(item.recorded_us),
            say.share(item.recorded_us, item.due_us),
            say.length(item.degraded_us) if item.degraded_us else "—",
            str(item.gaps),
        )
        for item in facts.media
    ]
    return columns, rows


def gap_table(facts: ReportFacts) -> Table:
    columns = (
        Column("起", "From", 42),
        Column("止", "To", 42),
        Column("时长", "Length", 22, right=True),
        Column("房间 · 摄像机", "Room, camera", 46),
        Column("媒体", "Medium", 13),
        Column("原因", "Cause", 43),
    )
    found = sorted(
        ((gap, item) for item in facts.media for gap in item.missing),
        key=lambda pair: (pair[0].start, pair[1].room, pair[1].camera, pair[1].medium),
    )
    rows = [
        (
            say.instant(gap.start),
            say.instant(gap.end),
            say.length(gap.end - gap.start),
            f"{item.room} · {item.camera}",
            say.zh("medium", item.medium),
            f"{say.zh('cause', gap.cause)} {gap.cause}",
        )
        for gap, item in found
    ]
    return columns, rows


def stream_table(facts: ReportFacts) -> Table:
    columns = (
        Column("房间 · 摄像机", "Room, camera", 34),
        Column("码流", "Stream", 34),
        Column("录像起止", "First to last", 44),
        Column("文件/连接", "Files/runs", 18, right=True),
        Column("数据量", "Bytes", 20, right=True),
        Column("图像", "Picture", 24),
        Column("试解码", "Decoded", 34),
    )
    rows = [
        (
            f"{item.room} · {item.camera}",
            f"{say.zh('role', item.role)}\n{item.stream}",
            "—" if item.first is None or item.last is None else say.span(item.first, item.last),
            f"{item.segments}/{item.runs}",
            say.size(item.bytes),
            "\n".join(item.pictures) or "—",
            _probe_words(item),
        )
        for item in facts.streams
    ]
    return columns, rows


def _probe_words(item: StreamFacts) -> str:
    probe = item.probe
    if not probe.files:
        return "无文件 none"
    words = f"抽 {probe.tried}/{probe.files},解 {probe.frames}\n"
    if probe.failed:
        return words + "失败 failed: " + "、".join(digest[:12] for digest in probe.failed)
    return words + "未报错 no error"


def sound_words(streams: Iterable[StreamFacts]) -> list[tuple[str, str]]:
    """Say how sound was stored, once for each way."""
    ways: dict[tuple[str, str], list[int]] = {}
    for stream in streams:
        for sound in stream.sounds:
            found = ways.setdefault((sound.sent, sound.stored), [0, 0])
            found[0] += sound.segments
            found[1] += sound.digested
    if not ways:
        return [("声音:没有录到声音。", "Sound: none was recorded.")]
    return [
        _sound_way(SoundFacts(sent, stored, *counts))
        for (sent, stored), counts in sorted(ways.items())
    ]


def _sound_way(sound: SoundFacts) -> tuple[str, str]:
    sent, stored = say.codec(sound.sent), say.codec(sound.stored)
    if sent == stored:
        return (
            f"声音:{sent},按摄像机原码流保存,未经转码({sound.segments} 个文件)。",
            f"Sound: {sound.sent}, stored as the camera sent it ({sound.segments} files).",
        )
    digests = (
        f"其中 {sound.digested} 个文件的记录载有收到的 G.711 数据的 SHA-256,可由 FLAC 还原比对。"
        if sound.sent.startswith("pcm_") and sound.digested
        else ""
    )
    return (
        f"声音:摄像机发来 {sent},解码后以 {stored} 保存(无损转码,{sound.segments} 个文件)。{digests}",
        (
            f"Sound: {sound.sent} was decoded and stored as {sound.stored} (lossless; {sound.segments} "
            f"files, {sound.digested} with digests of what was received)."
        ),
    )


def clock_table(streams: Iterable[StreamFacts]) -> Table:
    columns = (
        Column("房间 · 摄像机", "Room, camera", 40),
        Column("码流", "Stream", 22),
        Column("摄像机时钟", "Camera", 24, right=True),
        Column("回推", "Extrapolated", 24, right=True),
        Column("到达时间", "Arrival", 24, right=True),
        Column("偏差", "Offset", 34, right=True),
    )
    rows = []
    for item in streams:
        lengths = {clock.quality: clock.us for clock in item.clocks}
        whole = sum(lengths.values())
        shares = [say.share(lengths.get(q.value, 0), whole) for q in ClockQuality]
        offset = " … ".join(say.signed_ms(us) for us in dict.fromkeys(item.offset)) or "—"
        row = (f"{item.room} · {item.camera}", say.zh("role", item.role), *shares, offset)
        rows.append(row)
    return columns, rows


def state_table(facts: ReportFacts) -> Table:
    columns = (
        Column("告警或事件", "Alarm or event", 46),
        Column("对象", "Subject", 44),
        Column("起", "From", 40),
        Column("止", "To", 40),
    )
    rows = [
        (
            say.alarm(item.kind),
            item.subject,
            say.instant(item.start),
            "未解除 open" if item.end is None else say.instant(item.end),
        )
        for item in facts.states
    ]
    return columns, rows


def key_table(keys: Iterable[KeyFacts]) -> Table:
    names = {
        "log": "存证账本 log",
        "recorder": "录制机 recorder",
        "report": "签名证书 report",
    }
    columns = (
        Column("密钥", "Key", 34),
        Column("名称", "Name", 50),
        Column("SHA-256 指纹", "Fingerprint", 96),
    )
    rows = [(names.get(key.role, key.role), key.name, say.grouped(key.fingerprint)) for key in keys]
    return columns, rows


def access_table(facts: ReportFacts) -> Table:
    columns = (
        Column("人员或程序", "Who", 40),
        Column("行为", "Act", 44),
        Column("次数", "Times", 14, right=True),
        Column("被拒", "Refused", 14, right=True),
        Column("首次", "First", 34),
        Column("末次", "Last", 34),
    )
    rows = [
        (
            item.who,
            say.act(item.action),
            str(item.times),
            str(item.refused),
            say.instant(item.first, millis=False),
            say.instant(item.last, millis=False),
        )
        for item in facts.access
    ]
    return columns, rows
