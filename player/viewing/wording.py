"""The tables and fixed words of a record of viewing. Pure."""

from collections.abc import Mapping

from bidwitness.player.viewing.facts import Basis, FileFacts, Reread, SentFacts, ViewingFacts
from bidwitness.storage.evidence_report import wording as say
from bidwitness.storage.evidence_report.facts import StreamFacts
from bidwitness.storage.evidence_report.parts import Table
from bidwitness.storage.evidence_report.sheet import Column
from bidwitness.words import GrantKind, Role

# More are read in the attached facts, which have all of them; what is not as it was is listed first.
MOST_SPANS, MOST_FILES = 400, 300
ORIGINAL = (
    (
        (
            "回放所发送的是录制时存入的原始数据:每一段(moof 与 mdat)与记录中被计算摘要的字节逐字节相同,"
            "不转码、不重新压缩、不加水印;仅初始化段(init)由所存初始化段按公开规则取出单一媒体。"
        ),
        (
            "What replay sends is the recorded data itself: each piece (moof and mdat) is byte for byte what "
            "was hashed into the records, not decoded, not encoded anew, without a watermark. The init alone "
            "is that of one medium, taken from the stored one by a published rule."
        ),
    ),
    (
        "页面上叠加的水印由浏览器绘制,不在所发送的字节中。缩略图与截图是衍生件,实时画面另行留痕,均不在本笔录内。",
        (
            "The watermark over the page is drawn by the browser and is not in those bytes. Thumbnails and "
            "snapshots are Derivatives, and live views have entries of their own: none of them is in this "
            "record."
        ),
    ),
)
RESOLUTION = (
    (
        "上表依据操作留痕:每个观看、每路媒体、每个文件、每一分钟录像,在其第一段发出之前留痕一次。因此时间精确到分钟:"
        "所列每一分钟(限于该文件之内)至少有一段已向查看人的播放器发送,不表示整分钟均已发送;"
        "播放器会提前取用,已发送也不证明已在屏幕上显示或已被人看到、听到。未列出的时间没有发送。"
    ),
    (
        "From the audit trail: one entry a viewing, medium, file and minute of footage, left before its first "
        "piece goes out. Times are therefore to the minute: of each minute listed (within its file) at least "
        "one piece was sent to the viewer's player, not necessarily all of it. A player fetches ahead: that "
        "something was sent does not prove that it was painted on a screen, seen or heard. What is not listed "
        "was not sent."
    ),
)
REREADING = (
    (
        "出具时逐个重新读取上述各文件的全部字节(先取本机缓存,否则取存储),重新计算 SHA-256、长度、各段叶摘要及其树根"
        "(SHA-256 与 SM3),并与录制时写入记录链的记录比对。结果如实列出,不影响本笔录的出具。"
    ),
    (
        "When this was made, every byte of these files was read again (this machine's spool, else the store); "
        "SHA-256, length, the leaf of each piece and the roots over them (SHA-256 and SM3) were computed anew "
        "and compared with the records that were made while recording. The result is stated whatever it is."
    ),
)
MEANING = (
    (
        (
            "本笔录由出具单位的密钥签名(PAdES)。签名有效说明:签名以后文件没有改动,且签名者持有该密钥;"
            "所附自签证书须与出具单位另行公布的指纹核对。"
        ),
        (
            "Signed by the issuer's key (PAdES): nothing was changed since. Compare the certificate's "
            "fingerprint with what the issuer publishes elsewhere."
        ),
    ),
    (
        (
            "本笔录不含录像。所附 facts.json 载有全部文件、摘要与操作留痕条目(含盐值及其在存证账本中的位置),"
            "可据此与存证账本和证据包逐条核对。"
        ),
        (
            "It holds no footage. The attached facts.json has every file, digest and audit entry, with salt "
            "and place in the log: each can be held against the log, and against an evidence package."
        ),
    ),
    (
        (
            "“一致”说明出具时所存字节与录制时的记录相符;不证明摄像机前的场景真实,也不证明摄像机自身时钟准确。"
            "名称与人员取自本系统数据库。"
        ),
        (
            "“ok” says that the bytes stored at that time are those of the records made while recording; it "
            "does not prove that the scene was not staged or that a camera's own clock was right. Names of "
            "places and people are from this system's database."
        ),
    ),
)


def roles_of(names: tuple[str, ...]) -> str:
    known = {role.value: role.zh for role in Role}
    return "、".join(f"{known.get(name, name)} {name}" for name in names) or "—"


def grant_table(facts: ViewingFacts) -> Table:
    columns = (
        Column("授权", "Grant", 30),
        Column("依据", "Basis", 24),
        Column("登记号", "Register", 22),
        Column("事由", "Reason", 44),
        Column("批准", "Made", 34),
        Column("到期或撤销", "Ends", 30),
    )
    kinds = {kind.value: kind.zh for kind in GrantKind}
    rows = []
    for grant in facts.grants:
        ends = [say.instant(grant.expires, millis=False)]
        if grant.revoked is not None:
            ends.append(f"撤销 revoked {say.instant(grant.revoked, millis=False)}")
        why = [grant.reason, *([grant.document_no] if grant.document_no else [])]
        rows.append(
            (
                f"{kinds.get(grant.kind, grant.kind)}\n{grant.grant}",
                f"{Basis(grant.basis).zh}\n{grant.basis}",
                grant.register or "—",
                "\n".join(why),
                f"{grant.made_by}\n{say.instant(grant.made, millis=False)}",
                "\n".join(ends),
            )
        )
    return columns, rows


def _place(stream: StreamFacts) -> str:
    return f"{stream.room} · {stream.camera}\n{say.zh('role', stream.role)} {stream.stream}"


def sent_table(facts: ViewingFacts) -> Table:
    columns = (
        Column("房间 · 摄像机 · 码流", "Room, camera, stream", 50),
        Column("媒体", "Medium", 14),
        Column("发送的录像时间", "Footage sent, to the minute", 62),
        Column("时长", "Length", 24, right=True),
        Column("发送时刻（首、末）", "First and last sent at", 40),
    )
    rows = []
    for item, stream in _by_stream(facts):
        names = (_place(stream), say.zh("medium", item.medium))
        if not item.spans:
            rows.append((*names, "未发送 nothing was sent", "—", "—"))
            continue
        lines = [say.span(span.start, span.end) for span in item.spans]
        length = sum(span.end - span.start for span in item.spans)
        at = [say.instant(item.first, millis=False), say.instant(item.last, millis=False)]
        # One row a handful of times, so that none is longer than a page.
        for start in range(0, min(len(lines), MOST_SPANS), 8):
            part = "\n".join(lines[start : start + 8])
            first = start == 0
            rows.append(
                (
                    *names,
                    part,
                    say.length(length) if first else "",
                    "\n".join(at) if first else "",
                )
            )
    return columns, rows


def _by_stream(facts: ViewingFacts) -> list[tuple[SentFacts, StreamFacts]]:
    return [
        (item, stream)
        for stream in facts.streams
        for item in facts.sent
        if item.stream == stream.stream
    ]


def result_table(facts: ViewingFacts) -> Table:
    columns = (
        Column("房间 · 摄像机 · 码流", "Room, camera, stream", 54),
        Column("文件", "Files", 16, right=True),
        *(Column(state.zh, state.value, 20, right=True) for state in Reread),
        Column("结论", "Result", 34),
    )
    rows = []
    for stream in facts.streams:
        found = facts.counted(stream.stream)
        whole = sum(found.values())
        rows.append(
            (
                _place(stream),
                str(whole),
                *(str(count) for count in found.values()),
                result_words(found),
            )
        )
    return columns, rows


def result_words(found: Mapping[Reread, int]) -> str:
    """Say in a word what reading again has shown: the worst of it."""
    if not sum(found.values()):
        return "未发送 nothing sent"
    for state in (Reread.ALTERED, Reread.MISSING, Reread.UNREAD, Reread.OPEN):
        if found[state]:
            return f"{state.zh} {state.value}"
    return f"{Reread.OK.zh} {Reread.OK.value}"


def file_table(facts: ViewingFacts) -> tuple[Table, int]:
    """Give the table of files, and how many it lists: those that are not as they were come first
    where not all can be listed."""
    columns = (
        Column("录像时间", "Footage", 38),
        Column("摄像机 · 运行-序号", "Camera, run-number", 38),
        Column("记录", "Record", 20),
        Column("文件 SHA-256 / 记录树根", "File SHA-256 / root in the record", 70),
        Column("结果", "Result", 26),
    )
    names = {stream.stream: stream for stream in facts.streams}
    chosen = sorted(facts.files, key=lambda item: item.state == Reread.OK)[:MOST_FILES]
    chosen.sort(key=lambda item: (item.start is None, item.start or 0, item.stream))
    rows = []
    for item in chosen:
        stream = names[item.stream]
        time = "—" if item.start is None or item.end is None else say.span(item.start, item.end)
        media = "、".join(say.zh("medium", medium) for medium in item.media)
        rows.append(
            (
                time,
                f"{stream.camera} {say.zh('role', stream.role)}（{media}）\n{item.run}-{item.run_seq}",
                "—" if item.day is None else f"{item.day}\n#{item.seq}",
                "\n".join(say.grouped(one) for one in (item.sha256, item.root) if one) or "—",
                _file_words(item),
            )
        )
    return (columns, rows), len(chosen)


def _file_words(item: FileFacts) -> str:
    state = Reread(item.state)
    words = f"{state.zh} {state.value}"
    if item.removed is not None:
        return f"{words}\n已按期限或审批删除 removed {say.instant(item.removed, millis=False)}"
    if state is Reread.OPEN:
        return f"{words}\n出具时尚无记录 no record yet"
    return words


def differences(facts: ViewingFacts) -> list[tuple[str, str]]:
    """Say of each file that is not as it was what was found, in the words of the check itself."""
    found = [item for item in facts.files if item.wrong and item.removed is None][:MOST_FILES]
    return [
        (
            f"文件 {item.run}-{item.run_seq}({Reread(item.state).zh})核验所见:",
            f"File {item.run}-{item.run_seq} ({item.state}): {'; '.join(item.wrong)}.",
        )
        for item in found
    ]


def cover_table(facts: ViewingFacts) -> Table:
    columns = (
        Column("码流", "Stream", 40),
        Column("记录（日 · 序号）", "Records (day, numbers)", 44),
        Column("录制机签名时段", "Recorder's epoch", 42),
        Column("存证账本位置", "Place in the log", 50),
        Column("写入时间", "Logged", 32),
    )
    names = {stream.stream: stream for stream in facts.streams}
    rows = [
        (
            f"{names[item.stream].camera} {say.zh('role', names[item.stream].role)}\n{item.stream}",
            f"{item.day} #{item.first} – #{item.last}",
            "尚未入账 not in the log yet"
            if item.epoch is None
            else f"{item.recorder} 第 {item.epoch} 时段 epoch {item.epoch}",
            "—" if item.position is None else f"{item.origin} 第 {item.position} 条",
            say.instant(item.at, millis=False),
        )
        for item in facts.covers
    ]
    return columns, rows
