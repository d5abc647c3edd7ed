"""The rules of HLS playlists (RFC 8216) that can be checked by reading them; a player's eye view.

``faults_in_master`` and ``faults_in_media`` give what is wrong, each with the rule's place.
"""

import re
from collections.abc import Callable
from datetime import datetime

_TAG = re.compile(r"^#(EXT[A-Z0-9-]*)(?::(.*))?$")
_ATTRIBUTE = re.compile(
    r'([A-Z0-9-]+)=("[^"\r\n]*"|0x[0-9A-F]+|\d+x\d+|-?\d+(?:\.\d+)?|[^",\s][^",]*)(?:,|$)'
)
_CODEC = re.compile(
    r"^(avc1\.[0-9A-F]{6}|hvc1\..+|hev1\..+|mp4a\.40\.\d+|fLaC|opus|Opus)$", re.IGNORECASE
)
_MEDIA_ONLY = {
    *("EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP"),
    *("EXT-X-PROGRAM-DATE-TIME", "EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE"),
    *("EXT-X-ENDLIST", "EXT-X-PLAYLIST-TYPE", "EXT-X-GAP"),
}
_MASTER_ONLY = {"EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-SESSION-DATA"}
Row = tuple[str, str]


def attributes(text: str) -> dict[str, str]:
    """Read an attribute list (4.2). Raises ``ValueError``."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None or match[1] in found:
            raise ValueError(f"4.2: not an attribute list: {text!r}")
        found[match[1]] = match[2].strip('"')
        at = match.end()
    return found


def rows_of(text: str) -> tuple[list[Row], list[str]]:
    """Give (tag, value) rows, addresses as ("", address), and what is wrong with the form (4.1)."""
    faults: list[str] = []
    if text.startswith("\ufeff"):
        faults.append("4.1: a byte order mark")
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text):
        faults.append("4.1: control characters")
    rows: list[Row] = []
    for line in text.splitlines():
        if line != line.strip():
            faults.append(f"4.1: white space about {line!r}")
        tag = _TAG.match(line)
        if tag is not None:
            rows.append((tag[1], tag[2] or ""))
        elif line and not line.startswith("#"):
            rows.append(("", line))
    if not rows or rows[0] != ("EXTM3U", ""):
        faults.append("4.3.1.1: EXTM3U is not the first line")
    names = [name for name, _ in rows]
    if names.count("EXT-X-VERSION") > 1:
        faults.append("4.3.1.2: more than one version")
    return rows, faults


def faults_in_master(text: str) -> list[str]:
    """Say what breaks the rules in a master playlist."""
    rows, faults = rows_of(text)
    faults += [f"4.1: {name} in a master playlist" for name, _ in rows if name in _MEDIA_ONLY]
    groups: set[tuple[str, str]] = set()
    for name, value in rows:
        if name == "EXT-X-MEDIA":
            given = attributes(value)
            if not {"TYPE", "GROUP-ID", "NAME"} <= set(given):
                faults.append("4.3.4.1: EXT-X-MEDIA without type, group or name")
            if given.get("DEFAULT") == "YES" and given.get("AUTOSELECT", "YES") != "YES":
                faults.append("4.3.4.1: chosen by default and not by itself")
            groups.add((given.get("TYPE", ""), given.get("GROUP-ID", "")))
    variants = 0
    for place, (name, value) in enumerate(rows):
        if name != "EXT-X-STREAM-INF":
            continue
        variants += 1
        given = attributes(value)
        faults += _variant(given, groups)
        if place + 1 == len(rows) or rows[place + 1][0]:
            faults.append("4.3.4.2: no address follows EXT-X-STREAM-INF")
    if not variants:
        faults.append("4.3.4.2: no variant")
    if sum(1 for name, _ in rows if not name) != variants:
        faults.append("4.3.4.2: an address that belongs to no variant")
    return faults


def _variant(given: dict[str, str], groups: set[tuple[str, str]]) -> list[str]:
    faults: list[str] = []
    peak, mean = given.get("BANDWIDTH", ""), given.get("AVERAGE-BANDWIDTH", "1")
    if not peak.isdigit() or int(peak) == 0:
        faults.append("4.3.4.2: BANDWIDTH is no number of bits")
    elif not mean.isdigit() or int(mean) > int(peak):
        faults.append("4.3.4.2: on average more than at most")
    codecs = given.get("CODECS", "").split(",")
    faults += [f"4.3.4.2: {codec!r} is no codec" for codec in codecs if not _CODEC.match(codec)]
    if "AUDIO" in given and ("AUDIO", given["AUDIO"]) not in groups:
        faults.append("4.3.4.2.1: the group of sound is not there")
    if "RESOLUTION" in given and not re.fullmatch(r"[1-9]\d*x[1-9]\d*", given["RESOLUTION"]):
        faults.append("4.3.4.2: RESOLUTION is no size")
    return faults


def faults_in_media(text: str) -> list[str]:
    """Say what breaks the rules in a media playlist."""
    rows, faults = rows_of(text)
    values = dict(rows)
    faults += [f"4.1: {name} in a media playlist" for name, _ in rows if name in _MASTER_ONLY]
    target = values.get("EXT-X-TARGETDURATION", "")
    if not target.isdigit():
        return [*faults, "4.3.3.1: no target duration"]
    version = int(values.get("EXT-X-VERSION", "1"))
    if version < 6 and "EXT-X-MAP" in values:
        faults.append("7: EXT-X-MAP needs version 6")
    if values.get("EXT-X-PLAYLIST-TYPE", "EVENT") not in ("EVENT", "VOD"):
        faults.append("4.3.3.5: no such type")
    if values.get("EXT-X-PLAYLIST-TYPE") == "VOD" and "EXT-X-ENDLIST" not in values:
        faults.append("6.2.1: a VOD playlist without its end")
    faults += _segments(rows, int(target))
    if ("EXT-X-ENDLIST", "") in rows and rows[-1] != ("EXT-X-ENDLIST", ""):
        faults.append("4.3.3.4: something follows the end")
    return faults


def _segments(rows: list[Row], target: int) -> list[str]:
    faults: list[str] = []
    length: float | None = None
    mapped, dated, before = False, "", ""
    for name, value in rows:
        if name == "EXTINF":
            length = float(value.split(",")[0])
            if round(length) > target:
                faults.append(f"4.3.3.1: {length} s is longer than the target of {target} s")
        elif name == "EXT-X-MAP":
            mapped = _checked(faults, value, lambda given: "URI" in given, "4.3.2.5: no address")
        elif name == "EXT-X-PROGRAM-DATE-TIME":
            dated = value
            if datetime.fromisoformat(value).tzinfo is None:
                faults.append("4.3.2.6: a date without its zone")
            if before and datetime.fromisoformat(value) < datetime.fromisoformat(before):
                faults.append("6.2.1: dates go back")
            before = value
        elif not name:
            if length is None:
                faults.append(f"4.3.2.1: {value} has no EXTINF")
            if not mapped and not value.startswith("gap-"):
                faults.append(f"3: {value} has no init")
            if not dated:
                faults.append(f"{value} has no date")
            length, dated = None, ""
    if length is not None:
        faults.append("4.3.2.1: no address follows EXTINF")
    return faults


def _checked(
    faults: list[str], value: str, holds: Callable[[dict[str, str]], bool], fault: str
) -> bool:
    if not holds(attributes(value)):
        faults.append(fault)
        return False
    return True
