"""Alarms in words, Chinese and English, for who is told outside of the pages. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bidwitness.words import GapCause, StreamFault


@dataclass(frozen=True, slots=True)
class Said:
    """The same in both languages."""

    zh: str
    en: str


# The pages have the same kinds in their own words (a test compares the lists).
KINDS: Mapping[str, Said] = {
    "overlap": Said("等待上一场次结束", "Waiting for another session in the same room"),
    "overrun": Said("超过计划结束时间", "Past its planned end"),
    "seal_refused": Said("固化被拒绝", "Seal refused"),
    "seal_waits": Said("固化在等待", "The seal waits"),
    "seal_open": Said("已固化但末段未到", "Sealed without its end"),
    "plan_forgotten": Said(
        "计划的场次既未开始也未取消", "A planned session was neither opened nor cancelled"
    ),
    "store_down": Said("存储无法写入", "The store takes nothing"),
    "store_full": Said("存储已满", "The store is full"),
    "locks_unproven": Said("存储的锁定未通过自检", "The store's locks do not hold"),
    "lock_failed": Said("录像未能锁定或续期", "Footage could not be locked for long enough"),
    "store_surplus": Said(
        "存储中有未登记的版本或删除标记", "The store holds what the index does not name"
    ),
    "store_fault": Said(
        "存储中的录像缺失或被改动", "What was kept is gone from the store, or changed in it"
    ),
    "scrub_late": Said("存储巡检未能按期完成", "The store is not read again in time"),
    "report_missing": Said("固证报告未能存入存储", "An evidence report could not be stored"),
    "footage_damaged": Said("录像与登记的摘要不一致", "Footage differs from its recorded digest"),
    "footage_missing": Said("登记的录像找不到", "Recorded footage cannot be found"),
    "footage_lost": Said("录像丢失", "Footage is lost"),
    "disk_low": Said("磁盘剩余空间不足", "Little room is left on a disk"),
    "disk_critical": Said("磁盘空间告急", "A disk is nearly full"),
    "ledger_stopped": Said("存证账本已停止", "The log of the site stands still"),
    "audit_differs": Said("操作留痕与存证账本不一致", "The audit trail is not what was logged"),
    "no_epochs": Said("录制服务未签署录像摘要", "The recorder vouches for nothing"),
    "witnesses_missing": Said("共签机构未达法定数", "The log lacks witnesses"),
    "stamps_missing": Said("存证账本缺少可信时间戳", "The log lacks time stamps"),
    "removal_failed": Said("到期录像删除失败", "Expired footage could not be removed"),
    "break_glass": Said("应急查看，待事后审查", "Break-glass was used; its review is due"),
    "break_glass_overdue": Said("应急查看逾期未审查", "The review of a break-glass use is overdue"),
    "not_recording": Said("未在录像", "Not recording"),
    "no_sound": Said("无声音", "No sound"),
    "low_frame_rate": Said("帧率偏低", "Low frame rate"),
    "long_gop": Said("关键帧间隔过长", "Key frames too far apart"),
    "clock_offset": Said("摄像机时钟偏差过大", "The camera's clock is off"),
    "packet_loss": Said("丢包", "Packets are lost"),
}

_CAUSES_EN: Mapping[str, str] = {
    GapCause.OFFLINE: "the camera cannot be reached",
    GapCause.STALL: "the camera is connected but sends nothing",
    GapCause.NETWORK: "the connection broke off",
    GapCause.SOURCE_CHANGED: "the stream's parameters changed",
    GapCause.WRITER: "the disk is too slow",
    GapCause.DISK: "the disk has failed or is full",
    GapCause.RECORDER_DOWN: "the recorder does not run",
    GapCause.CLOCK: "the recorder's clock was set",
    GapCause.NO_AUDIO: "the camera sends no sound",
    GapCause.UNKNOWN: "the cause is not known",
    StreamFault.SILENT: "the microphone gives no signal",
}


def name_of(kind: str) -> Said:
    """Give what a kind of alarm is called; one that is not known, by its kind."""
    return KINDS.get(kind, Said(kind, kind))


def sentence(kind: str, facts: Mapping[str, object]) -> Said:
    """Say what is wrong with a stream, and what helps, from the facts of its alarm."""
    where = f"{facts.get('room', '')} · {facts.get('camera', '')} ({facts.get('role', '')})"
    said = _TEXTS[kind](facts) if kind in _TEXTS else name_of(kind)
    return Said(f"{where}：{said.zh}", f"{where}: {said.en}")


def _cause(facts: Mapping[str, object]) -> Said:
    code = str(facts.get("cause", GapCause.UNKNOWN))
    for word in (*GapCause, *StreamFault):
        if word == code:
            return Said(word.zh, _CAUSES_EN.get(word, code))
    return Said(code, code)


def _not_recording(facts: Mapping[str, object]) -> Said:
    cause = _cause(facts)
    return Said(f"未在录像，原因：{cause.zh}。", f"nothing is recorded: {cause.en}.")


def _no_sound(facts: Mapping[str, object]) -> Said:
    cause = _cause(facts)
    return Said(
        f"无声音：{cause.zh}。请检查麦克风、接线、增益和静音开关。",
        f"no sound: {cause.en}. Check the microphone, its cable, gain and mute.",
    )


def _low_frame_rate(facts: Mapping[str, object]) -> Said:
    rate = f"{_number(facts, 'centi_fps') / 100:.0f}"
    return Said(
        f"帧率降至每秒 {rate} 帧。请检查摄像机的慢快门(夜间)设置、码率上限和网络。",
        f"only {rate} frames a second. Check its slow shutter (night mode), bit rate and network.",
    )


def _long_gop(facts: Mapping[str, object]) -> Said:
    gap = f"{_number(facts, 'gop_ms') / 1000:.0f}"
    return Said(
        f"关键帧间隔 {gap} 秒。请在摄像机上设为每 1–2 秒一个关键帧(I 帧)，并关闭智能编码。",
        f"key frames are {gap} s apart. Set the camera to a key frame every 1-2 s, no smart codec.",
    )


def _clock_offset(facts: Mapping[str, object]) -> Said:
    off = _number(facts, "clock_us") / 1_000_000
    return Said(
        f"摄像机时钟与录制服务相差 {off:+.1f} 秒。请为摄像机设置本中心的 NTP 服务器。",
        f"the camera's clock is {off:+.1f} s from the recorder's. Give it the centre's NTP server.",
    )


def _packet_loss(facts: Mapping[str, object]) -> Said:
    percent = f"{_number(facts, 'loss_ppm') / 10_000:.2f}"
    return Said(
        f"{percent}% 的数据包丢失，部分画面受损。请检查网络、交换机端口和摄像机码率；可改用 TCP 取流。",
        f"{percent} % of the packets are lost, which harms pictures. Check the network, the switch "
        "port and the bit rate, or let media come by TCP (rtsp://).",
    )


def _number(facts: Mapping[str, object], name: str) -> float:
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


_TEXTS: Mapping[str, Callable[[Mapping[str, object]], Said]] = {
    "not_recording": _not_recording,
    "no_sound": _no_sound,
    "low_frame_rate": _low_frame_rate,
    "long_gop": _long_gop,
    "clock_offset": _clock_offset,
    "packet_loss": _packet_loss,
}
