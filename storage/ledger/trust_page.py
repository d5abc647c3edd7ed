"""Published trust material as a page to print: for people to read, sign and compare with."""

import io
from collections.abc import Iterable
from html import escape

import segno

from bidwitness.storage.evidence.material import TrustMaterial
from bidwitness.storage.evidence.records import utc_text

_ROLES = {
    "log": ("存证账本", "log"),
    "recorder": ("录制服务", "recorder"),
    "report": ("固证报告签名证书", "evidence reports"),
    "witness": ("共签机构", "witness"),
    "timestamp": ("可信时间戳机构", "time stamps"),
    "group": ("共签机构组", "group"),
    "quorum": ("法定数", "quorum"),
}
_STYLE = """
body { font: 11pt/1.5 "Noto Sans CJK SC", "Source Han Sans SC", SimSun, sans-serif; margin: 2cm auto;
  max-width: 18cm; color: #000; background: #fff }
h1 { font-size: 18pt; margin: 0 } h2 { font-size: 13pt; margin: 1.2em 0 .3em }
.en { color: #444; font-size: 9pt } table { border-collapse: collapse; width: 100% }
td, th { border: 1px solid #666; padding: 3px 6px; text-align: left; vertical-align: top }
code { font: 9pt/1.4 "DejaVu Sans Mono", monospace; overflow-wrap: anywhere }
.digest { font-size: 13pt; font-weight: bold } .gone td { color: #555; text-decoration: line-through }
.qr { float: right; width: 3.2cm } .line { border-bottom: 1px solid #000; min-width: 5cm }
tr { break-inside: avoid } @page { size: A4; margin: 1.5cm } @media print { body { margin: 0 } }
"""


def trust_page(material: TrustMaterial) -> str:
    """Give a version as one HTML page that needs nothing else. Nothing in it is a script."""
    digest = material.digest
    head = [
        f'<div class="qr">{_qr(material)}</div>',
        "<h1>信任材料</h1>",
        '<div class="en">Trust material</div>',
        (
            f"<p>{escape(material.site)}　第 <b>{material.version}</b> 版　{material.day}<br>"
            f'<span class="en">version {material.version} of {material.day}</span></p>'
        ),
        (
            '<p>本版摘要 <span class="en">digest of this version, SHA-256</span><br>'
            f'<code class="digest">{_grouped(digest)}</code></p>'
        ),
        (
            f"<p>上一版摘要 <span class='en'>of the version before</span><br>"
            f"<code>{_grouped(material.previous) if material.previous else '无 none'}</code></p>"
        ),
        (
            '<p>中心公布用公钥 <span class="en">the centre\'s key for this document</span><br>'
            f"<code>{escape(str(material.centre))}</code><br>SHA-256 "
            f"<code>{_grouped(material.centre.fingerprint)}</code></p>"
        ),
        (
            "<p>核对证据包时，请以本页或中心公布的指纹为准，不得使用证据包内的公钥。共签机构在本页阅读无误后，"
            "以本版摘要在本机构的电脑上共签。<br>"
            '<span class="en">Verify packages by what stands here, never by keys from inside a package: '
            "<code>bidwitness verify PACKAGE --policy FILE --policy-key FINGERPRINT</code>. A witness "
            "reads this page, then countersigns the file by the digest above.</span></p>"
        ),
    ]
    parts = [*head, *_keys(material), *_history(material), *_countersigned(material), *_signing()]
    title = f"信任材料 {escape(material.site)} {material.version}"
    return (
        f'<!doctype html>\n<html lang="zh-CN">\n<head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _qr(material: TrustMaterial) -> str:
    said = f"BidWitness/1 trust={material.site} version={material.version} digest={material.digest}"
    out = io.BytesIO()
    segno.make(said, error="m").save(out, kind="svg", xmldecl=False, omitsize=True, border=1)
    return out.getvalue().decode()


def _keys(material: TrustMaterial) -> list[str]:
    """The keys of today, each with its fingerprint and since when."""
    since = {change.what: change for change in material.history if change.comes}
    policy = material.policy
    rows: list[tuple[str, str, str, str]] = []
    for role, keys in (("log", policy.logs), ("recorder", policy.recorders)):
        rows += [(role, key.name, key.fingerprint, f"{role} {key}") for key in keys]
    for name, key in policy.witnesses.items():
        rows.append(("witness", f"{name} · {key.name}", key.fingerprint, f"witness {name} {key}"))
    named = {(change.what.partition(" ")[0], change.what) for change in since.values()}
    for role, what in sorted(named):
        if role in ("report", "timestamp") and _is_present(material, what):
            name, _, prints = what.removeprefix(f"{role} ").rpartition(" ")
            rows.append((role, name, prints.replace("sha256:", "").partition(",")[0], what))
    body = [
        f"<tr><td>{_role(role)}</td><td>{escape(name)}</td><td><code>{_grouped(digits)}</code></td>"
        f"<td>{since[what].day if what in since else ''}</td></tr>"
        for role, name, digits, what in rows
    ]
    title = "<h2>现用公钥与证书 <span class='en'>Keys and certificates in use</span></h2>"
    heads = (("类别", "role"), ("名称", "name"), ("指纹", "SHA-256"), ("启用", "since"))
    quorum = (
        "<p>不要求共签机构共签存证账本。<span class='en'>No witness is asked for.</span></p>"
        if policy.quorum == "none"
        else f"<p>存证账本的共签法定数 <span class='en'>quorum</span>：{escape(_quorum(material))}</p>"
    )
    return [title, *_table(heads, body), quorum]


def _is_present(material: TrustMaterial, what: str) -> bool:
    changes = [change for change in material.history if change.what == what]
    return bool(changes) and changes[-1].comes


def _quorum(material: TrustMaterial) -> str:
    group = material.policy.groups.get(material.policy.quorum)
    if group is None:
        return material.policy.quorum
    return f"{group.needed} / {len(group.members)}: {', '.join(group.members)}"


def _history(material: TrustMaterial) -> list[str]:
    body = [
        f"<tr><td>{change.version}</td><td>{change.day}</td>"
        f"<td>{'启用 in use' if change.comes else '停用 no more'}</td>"
        f"<td>{_role(change.what.partition(' ')[0])}<br><code>{escape(change.what)}</code></td>"
        f"<td>{escape(change.reason)}</td></tr>"
        for change in material.history
    ]
    heads = (("版本", "version"), ("日期", "day"), ("", ""), ("内容", "what"), ("原因", "reason"))
    return ["<h2>变更历史 <span class='en'>History</span></h2>", *_table(heads, body)]


def _countersigned(material: TrustMaterial) -> list[str]:
    signed = material.countersigned
    body = [
        f"<tr><td>{escape(name)}</td><td><code>{_grouped(key.fingerprint)}</code></td><td>"
        f"{utc_text(signed[name] * 1_000_000) if name in signed else '尚未 not yet'}</td></tr>"
        for name, key in material.policy.witnesses.items()
    ]
    title = "<h2>共签 <span class='en'>Countersignatures</span></h2>"
    if not body:
        return [title, "<p>无共签机构。<span class='en'>There are no witnesses.</span></p>"]
    heads = (("机构", "organisation"), ("指纹", "SHA-256"), ("共签时间", "when, UTC"))
    return [title, *_table(heads, body)]


def _signing() -> list[str]:
    names = (
        ("中心负责人", "for the centre"),
        ("经办人", "handled by"),
        ("日期与盖章", "date, seal"),
    )
    cells = "".join(
        f"<td>{zh} <span class='en'>{en}</span><br><br><div class='line'>&nbsp;</div></td>"
        for zh, en in names
    )
    return [
        f"<h2>签字盖章 <span class='en'>Signed by hand</span></h2><table><tr>{cells}</tr></table>"
    ]


def _table(heads: Iterable[tuple[str, str]], rows: Iterable[str]) -> list[str]:
    cells = "".join(f"<th>{zh} <span class='en'>{en}</span></th>" for zh, en in heads)
    return ["<table>", f"<tr>{cells}</tr>", *rows, "</table>"]


def _role(role: str) -> str:
    zh, en = _ROLES.get(role, (role, role))
    return f"{escape(zh)}<br><span class='en'>{escape(en)}</span>"


def _grouped(digits: str) -> str:
    """Four by four, as people read them aloud."""
    return escape(" ".join(digits[at : at + 4] for at in range(0, len(digits), 4)))
