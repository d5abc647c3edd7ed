"""The words of the field as closed lists: the same in code, tables, URLs and the UI.

Each list carries its fixed Chinese names, because reports and the standard use them.
"""

from enum import StrEnum
from typing import Self


class Word(StrEnum):
    """A value with its fixed Chinese name (``.zh``)."""

    zh: str

    def __new__(cls, value: str, zh: str = "") -> Self:
        word = str.__new__(cls, value)
        word._value_ = value
        word.zh = zh
        return word


class RoomKind(Word):
    OPENING = "opening", "开标室"
    RECEPTION = "reception", "递交接收室"
    BIDDING = "bidding", "竞价室"
    AUCTION = "auction", "拍卖厅"
    EVALUATION = "evaluation", "评标(评审)室"
    NEGOTIATION = "negotiation", "谈判(磋商)室"
    CLARIFICATION = "clarification", "澄清(询标)室"
    EXPERT_DRAW = "expert_draw", "专家抽取室"
    SAMPLE = "sample", "样品展示室"
    SUPERVISION = "supervision", "监督室"
    ARCHIVE = "archive", "档案室"
    PUBLIC = "public", "公共区域"
    CORRIDOR = "corridor", "通道"
    DUTY = "duty", "值班室"
    REST = "rest", "休息室"


class SessionKind(Word):
    """What the sitting is for; a room may serve several kinds (clauses 7.3.4, 7.4.5)."""

    OPENING = "opening", "开标"
    BIDDING = "bidding", "竞价"
    AUCTION = "auction", "拍卖"
    EVALUATION = "evaluation", "评标"
    NEGOTIATION = "negotiation", "谈判"
    CLARIFICATION = "clarification", "澄清"
    EXPERT_DRAW = "expert_draw", "专家抽取"
    SAMPLE = "sample", "样品查看"


class SessionState(Word):
    SCHEDULED = "scheduled", "待开始"
    RECORDING = "recording", "录制中"
    ENDED = "ended", "已结束"
    SEALED = "sealed", "已固化"
    ARCHIVED = "archived", "已归档"
    TRANSFERRED = "transferred", "已移交"
    DISPOSED = "disposed", "已销毁"
    CANCELLED = "cancelled", "已取消"


class Condition(Word):
    """The state of the business while a session records; all of it is recorded."""

    RUNNING = "running", "进行中"
    RECESS = "recess", "休会(隔夜)"
    SUSPENDED = "suspended", "暂停"


class Outcome(Word):
    COMPLETED = "completed", "完成"
    TERMINATED = "terminated", "终止"
    FAILED = "failed", "流标/废标"
    POSTPONED = "postponed", "延期"
    MISTAKEN = "mistaken", "误建"


class Relation(Word):
    CONTINUES = "continues", "续评"
    CLARIFIES = "clarifies", "澄清"
    SECOND_OPENING = "second_opening", "二次开标"
    RECHECKS = "rechecks", "复核"
    RE_EVALUATES = "re_evaluates", "复评"


class LotPhase(Word):
    REGISTERED = "registered", "已登记"
    OPENING = "opening", "开标中"
    EVALUATING = "evaluating", "评标中"
    EVALUATED = "evaluated", "已评标"
    CANDIDATES_PUBLISHED = "candidates_published", "候选人已公示"
    RESULT_PUBLISHED = "result_published", "结果已公告"
    CONTRACT_SIGNED = "contract_signed", "合同已签订"
    ENDED = "ended", "已结束"
    FAILED = "failed", "流标/废标"
    TERMINATED = "terminated", "终止"


class BookingRole(Word):
    MAIN = "main", "主场"
    SUB = "sub", "副场"
    CLARIFICATION = "clarification", "澄清"
    SUPERVISION = "supervision", "监督"


class ClaimClass(Word):
    OWN = "own", "自有"
    LINKED = "linked", "关联"
    RECEIVED = "received", "外来"


class StreamRole(Word):
    MAIN = "main", "主码流"
    SUB = "sub", "子码流"


class RecordMode(Word):
    """``session``: footage that no session claims is kept for its pre-roll only."""

    CONTINUOUS = "continuous", "连续录像"
    SESSION = "session", "仅场次录像"


class Medium(Word):
    PICTURE = "picture", "图像"
    SOUND = "sound", "声音"
    SCREEN = "screen", "专家桌面"


class Action(Word):
    LIVE = "live", "实时查看"
    REWIND = "rewind", "回看"
    REPLAY = "replay", "回放"
    SNAPSHOT = "snapshot", "截图"
    COPY = "copy", "复制"


class GapCause(Word):
    OFFLINE = "offline", "摄像机离线"
    STALL = "stall", "码流停滞"
    NETWORK = "network", "网络中断"
    SOURCE_CHANGED = "source_changed", "码流参数变更"
    WRITER = "writer", "写入受阻"
    DISK = "disk", "磁盘故障或已满"
    RECORDER_DOWN = "recorder_down", "录制服务停止"
    CLOCK = "clock", "时钟异常"
    LATE_START = "late_start", "开始录制晚于应录时间"
    EARLY_END = "early_end", "结束录制早于应录时间"
    NO_AUDIO = "no_audio", "无声音"
    MAINTENANCE = "maintenance", "检修"
    CLASSIFIED = "classified", "涉密期间不录制"
    UNKNOWN = "unknown", "原因不明"


class ClockQuality(Word):
    """Where a segment's times come from (design.md §5.5)."""

    CAMERA = "camera", "摄像机时钟"
    EXTRAPOLATED = "extrapolated", "摄像机时钟(回推)"
    ARRIVAL = "arrival", "到达时间"


class MarkerAudience(Word):
    OWN = "own", "本单位"
    SUPERVISION = "supervision", "监督方"
    ALL = "all", "全部"


class CopyForm(Word):
    """What is handed out: the recorded bytes with their proof, films that say whose they are, films
    for any player, or one film of all cameras.
    """

    PACKAGE = "package", "证据包"
    WATERMARKED = "watermarked", "水印复制件"
    FILMS = "films", "便捷视频"
    MOSAIC = "mosaic", "多画面视频"


class GrantKind(Word):
    DUTY = "duty", "值守"
    REQUEST = "request", "调阅"
    DEMAND = "demand", "调取"
    # Taken alone, at once told to others, reviewed afterwards.
    BREAK_GLASS = "break_glass", "应急查看"


class RegisterKind(Word):
    """What a row of the access and copy register says."""

    GRANT = "grant", "准予"
    REFUSAL = "refusal", "不予"
    REVOCATION = "revocation", "撤销"
    COPY = "copy", "制作复制件"
    HANDOVER = "handover", "移交"
    SIGNED = "signed", "签收"
    RETURN = "return", "归还"
    DESTRUCTION = "destruction", "销毁"
    BREAK_GLASS = "break_glass", "应急查看"
    REVIEW = "review", "事后审查"


class Role(Word):
    """Who somebody is to the platform; what each may do stands in ``bidwitness.rights`` and
    ``bidwitness.api.rules``."""

    SUPERVISOR = "supervisor", "监督人员"
    VENUE = "venue", "场地管理员"
    ATTESTOR = "attestor", "见证人员"
    ARCHIVIST = "archivist", "档案管理员"
    AUDITOR = "auditor", "审计监察人员"
    OPERATOR = "operator", "运维人员"
    DIRECTOR = "director", "中心负责人"
    SYSTEM_ADMIN = "system_admin", "系统管理员"
    SECURITY_ADMIN = "security_admin", "安全管理员"
    AUDIT_ADMIN = "audit_admin", "安全审计员"
    # Of service accounts alone, never of a person.
    SERVICE = "service", "服务账号"


class AccountKind(Word):
    """A service account is another system: it has API tokens and never signs in."""

    PERSON = "person", "人员"
    SERVICE = "service", "服务账号"


class ProjectCategory(Word):
    CONSTRUCTION = "construction", "工程建设"
    PROCUREMENT = "procurement", "政府采购"
    LAND = "land", "土地使用权和矿业权"
    PROPERTY = "property", "国有产权"
    OTHER = "other", "其他"


class JobState(Word):
    QUEUED = "queued", "排队中"
    RUNNING = "running", "进行中"
    DONE = "done", "已完成"
    FAILED = "failed", "失败"
    CANCELLED = "cancelled", "已取消"


class Health(Word):
    OK = "ok", "正常"
    DEGRADED = "degraded", "降级"
    STALLED = "stalled", "停滞"
    OFFLINE = "offline", "离线"


class StreamFault(Word):
    """What is wrong with a stream that is recorded all the same."""

    SILENT = "silent", "麦克风无信号"
    LOW_FRAME_RATE = "low_frame_rate", "帧率偏低"
    LONG_GOP = "long_gop", "关键帧间隔过长"
    CLOCK_OFFSET = "clock_offset", "摄像机时钟偏差过大"
    PACKET_LOSS = "packet_loss", "丢包"


# With these the record itself is poorer than it should be; the others are an alarm only.
DEGRADING = (StreamFault.SILENT, StreamFault.LOW_FRAME_RATE, StreamFault.PACKET_LOSS)


class StreamAlarm(Word):
    """What is alarmed of a stream; ``no_sound`` is for sound that does not come or says nothing."""

    NOT_RECORDING = "not_recording", "未在录像"
    NO_SOUND = "no_sound", "无声音"
    LOW_FRAME_RATE = "low_frame_rate", "帧率偏低"
    LONG_GOP = "long_gop", "关键帧间隔过长"
    CLOCK_OFFSET = "clock_offset", "摄像机时钟偏差过大"
    PACKET_LOSS = "packet_loss", "丢包"


class LockLevel(Word):
    """Who refuses to remove a locked object."""

    STORE = "store", "由存储强制"
    PROGRAM = "program", "仅由本程序执行"
    NONE = "none", "无"


class ScrubKind(Word):
    """What a round over the store looks at."""

    PRESENCE = "presence", "在库检查"
    BYTES = "bytes", "逐字节校验"


class StoreFaultKind(Word):
    """What is wrong with an object that the index names."""

    MISSING = "missing", "缺失"
    DAMAGED = "damaged", "与登记的摘要不一致"


class SurplusKind(Word):
    """What lies in the store and is not named by the index."""

    MARKER = "marker", "删除标记"
    EXTRA = "extra", "多余版本"
    LEFTOVER = "leftover", "已删除录像的残留"
    UNKNOWN = "unknown", "无登记的对象"


class TrailFault(Word):
    """How rows that the log commits to differ from it."""

    EDITED = "edited", "内容被改动"
    REMOVED = "removed", "条目被删除"
    INSERTED = "inserted", "条目被插入"
    REORDERED = "reordered", "条目被调换"
    SET_BACK = "set_back", "索引被退回旧状态"
    # Somebody has said with a reason why it is gone: a restore, a log that was given up.
    STATED = "stated", "缺失，已有人员说明原因"
    LOG = "log", "存证账本受损"
    WAITING = "waiting", "久未写入存证账本"

    @property
    def is_attack(self) -> bool:
        """Whether no honest run of the programs leaves it."""
        return self not in (TrailFault.STATED, TrailFault.WAITING)


class SecondFactor(Word):
    """Whether a login wants something besides the password."""

    OFF = "off", "不使用"
    OPTIONAL = "optional", "由本人启用"
    REQUIRED = "required", "必须使用"


class Factor(Word):
    """What proves a person besides the password."""

    TOTP = "totp", "动态口令"
    KEY = "key", "安全密钥"
    RECOVERY = "recovery", "恢复码"
    # The OpenID provider says that it has asked for one.
    PROVIDER = "provider", "统一身份认证"


class LoginWay(Word):
    """By what somebody signed in, before any second factor."""

    PASSWORD = "password", "密码"
    OIDC = "oidc", "统一身份认证"


class SignInFault(Word):
    """Why signing in through the OpenID provider, or linking an account with it, came to nothing."""

    UNREACHABLE = "unreachable", "统一身份认证服务没有应答"
    REFUSED = "refused", "统一身份认证服务未予通过"
    EXPIRED = "expired", "本次登录已失效"
    UNTRUSTED = "untrusted", "统一身份认证服务的应答未通过核验"
    NOT_LINKED = "not_linked", "该身份尚未关联账户"
    TAKEN = "taken", "该身份或账户已有其他关联"
    SHUT_OUT = "shut_out", "账户已停用"
    BUSY = "busy", "请求过多"


class ApprovalState(Word):
    PENDING = "pending", "待审批"
    APPROVED = "approved", "已批准"
    REJECTED = "rejected", "已驳回"
    WITHDRAWN = "withdrawn", "已撤回"
    EXECUTED = "executed", "已执行"
    EXPIRED = "expired", "已过期"
