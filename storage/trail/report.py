"""What a signed report of the audit trail says: entries, each with what proves it, and the state of
the log and of the last walk. The same facts give the same pages."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bidwitness.storage.evidence.canonical import JsonValue, canonical
from bidwitness.storage.evidence_report import wording as say
from bidwitness.storage.evidence_report.sheet import Column, Frame, Sheet

FACTS_NAME = "facts.json"
# More do not fit on paper that anybody reads: narrow the search.
MOST = 2000
_COLUMNS = (
    Column("编号", "No.", 8, right=True),
    Column("时间", "Time (UTC+8)", 21),
    Column("人员", "Who", 17),
    Column("操作", "Action", 20),
    Column("对象", "Subject", 24),
    Column("结果", "Result", 8),
    Column("地址", "Address", 15),
    Column("原因", "Reason", 20),
)
_FILTERS = {
    "who": "人员 who",
    "action": "操作 action",
    "subject": "对象 subject",
    "address": "地址 address",
    "allowed": "允许 allowed",
    "from_us": "自 from",
    "to_us": "至 to",
}
_MEANING = (
    (
        (
            "本报告列出检索范围内的全部操作留痕，不作筛选；所附 facts.json 含每条的全文、盐值与在存证账本中的位置，"
            "可据此与账本逐条核对。"
        ),
        (
            "All entries within the search are listed. The attached facts.json has each in full, with its "
            "salt and its place in the log: each can be held against the log by it."
        ),
    ),
    (
        (
            "本报告证明这些条目在出具时如此登记；未登记的行为不在其中。核对结果为最近一次核对所见，"
            "独立核对请使用 bidwitness check audit。"
        ),
        (
            "It shows what was entered, not what never was. The finding is that of the last walk; run "
            "`bidwitness check audit` to see for yourself."
        ),
    ),
    (
        "操作留痕的保存期不短于其所涉录像的保存期，且不少于六个月；系统不提供删除途径。",
        (
            "Entries are kept as long as the footage they speak of, and for six months at least; there "
            "is no way to remove them."
        ),
    ),
)


def report_bytes(facts: Mapping[str, JsonValue]) -> bytes:
    """Give the facts as they are attached."""
    return canonical(dict(facts))


def make_audit_document(facts: Mapping[str, Any], digest: str) -> bytes:
    """Set the report. It is not signed yet. Pure."""
    number, issuer, made = facts["number"], facts["issuer"], int(facts["made"])
    sheet = Sheet(
        Frame(
            title=f"操作留痕审计报告 {number}",
            author=issuer,
            head=(f"{issuer} · 操作留痕审计报告", f"编号 {number}"),
            foot=f"报告摘要 Digest {digest}",
            at=datetime.fromtimestamp(made // say.SECOND, UTC),
        )
    )
    sheet.add_page()
    sheet.centred(issuer, 14, 9)
    sheet.centred("操 作 留 痕 审 计 报 告", 22, 14, strong=True)
    sheet.centred("AUDIT TRAIL REPORT", 9, 6)
    sheet.double_rule()
    sheet.pairs(
        [
            ("编号", "Number", number),
            ("出具时间", "Issued (UTC+8)", say.instant(made, millis=False)),
            ("申请人", "Asked for by", facts["by"]),
            ("用途", "Purpose", facts["reason"]),
            ("检索条件", "Search", _filter_words(facts["filter"])),
            ("条目数", "Entries", str(len(facts["entries"]))),
            ("报告摘要", "Digest of the facts", say.grouped(digest)),
        ]
    )
    _state(sheet, facts)
    sheet.heading("二、操作留痕", "The entries")
    if facts["entries"]:
        sheet.rows(_COLUMNS, [_row(entry) for entry in facts["entries"]])
    else:
        sheet.paragraph("没有符合条件的条目。", "No entry was found.")
    sheet.heading("三、说明", "What this proves, and what not")
    for chinese, english in _MEANING:
        sheet.paragraph(f"· {chinese}", english)
    sheet.signed_off(
        [("电子签名", "Signature", "PAdES，随本文件；纸质打印件上的签名无法核验")],
        [f"{issuer}（场所 {facts['site']}）", say.day(made)],
    )
    sheet.attach(FACTS_NAME, report_bytes(facts), "本报告所依据的事实 The facts of this report")
    return bytes(sheet.output())


def _state(sheet: Sheet, facts: Mapping[str, Any]) -> None:
    sheet.heading("一、与存证账本核对", "Held against the log")
    log = "\n".join(f"{item['origin']}：{item['size']}" for item in facts["log"]) or "无 none"
    walk = facts["walk"]
    if walk is None:
        sheet.pairs([("账本", "Log (entries)", log), ("最近核对", "Last walk", "尚未 not yet")])
        return
    found: Sequence[str] = walk["findings"]
    sheet.pairs(
        [
            ("账本", "Log (entries)", log),
            ("最近核对", "Last walk (UTC+8)", say.instant(walk["ended"], millis=False)),
            ("核对条目", "Looked at", str(walk["looked_at"])),
            ("结果", "Found", "\n".join(found) if found else "一致 As it was logged"),
        ]
    )


def _filter_words(given: Mapping[str, Any]) -> str:
    lines = [
        f"{_FILTERS[name]}：{say.instant(value) if name.endswith('_us') else value}"
        for name, value in given.items()
    ]
    return "\n".join(lines) or "全部 all"


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    event = entry["event"]
    return (
        str(event["id"]),
        say.instant(event["at"], millis=False),
        event["who"],
        event["action"],
        event["subject"],
        "允许 yes" if event["allowed"] else "拒绝 no",
        event["address"] or "—",
        event["reason"] or "—",
    )
