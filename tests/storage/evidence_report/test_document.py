"""A report as pages: what it says, read back from the PDF by another program."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.paper import told_by, words_of
from support.report_facts import CAMERAS, full_facts

from bidwitness.storage.evidence_report.document import code_text, make_document
from bidwitness.storage.evidence_report.facts import ReportFacts, digest_of_facts, facts_bytes
from bidwitness.storage.evidence_report.wording import instant, length, share, typeset
from bidwitness.words import GapCause


@pytest.fixture(scope="module")
def document() -> bytes:
    return make_document(full_facts())


def stated(facts: ReportFacts) -> list[str]:
    """List what a reader must find."""
    found = [facts.number, facts.root.leaf, digest_of_facts(facts), facts.software, facts.issuer]
    found += [key.fingerprint for key in facts.keys]
    found += [lot.project + lot.project_name for lot in facts.sitting.lots[:1]]
    for medium in facts.media:
        found += [length(medium.due_us), length(medium.recorded_us)]
        found.append(share(medium.recorded_us, medium.due_us))
        for gap in medium.missing:
            found += [instant(gap.start), instant(gap.end), length(gap.end - gap.start)]
            found.append(GapCause(gap.cause).zh + gap.cause)
    for stream in facts.streams:
        found += [stream.stream, *stream.pictures, *(f[:12] for f in stream.probe.failed)]
    for state in facts.states:
        found += [state.kind, state.subject]
    found += [access.who for access in facts.access]
    if facts.log is not None:
        found += [facts.log.origin, str(facts.log.position), instant(facts.log.at)]
        found += [seen.name for seen in (*facts.log.witnesses, *facts.log.stamps)]
    return ["".join(text.split()) for text in found]


def test_the_pages_state_all_facts(document: bytes, tmp_path: Path) -> None:
    words = words_of(document, tmp_path)
    missing = [text for text in stated(full_facts()) if text not in words]
    assert missing == []
    assert all(camera in words for camera in CAMERAS)
    # What became of the sound, what was tried and what is not proved, in both languages.
    for text in ("无损转码", "lossless", "抽5/900", "Trialdecoding", "不证明", "Notproved"):
        assert text in words, text


def test_the_same_facts_give_the_same_bytes(document: bytes) -> None:
    assert make_document(full_facts()) == document


def test_a_session_with_nothing_missing_and_nothing_known_of_the_log(tmp_path: Path) -> None:
    facts = full_facts()
    whole = tuple(replace(m, recorded_us=m.due_us, gaps=0, missing=()) for m in facts.media)
    words = words_of(
        make_document(replace(facts, media=whole, log=None, states=(), access=())), tmp_path
    )
    assert "未发现缺口" in words and "100.00%" in words
    assert "尚未写入存证账本" in words and "无人查看或复制" in words


def test_gaps_that_are_not_all_listed_are_counted(tmp_path: Path) -> None:
    facts = full_facts()
    media = tuple(replace(m, gaps=500) if m.missing else m for m in facts.media)
    words = words_of(make_document(replace(facts, media=media)), tmp_path)
    assert f"共500处,以上列出{len(GapCause)}处".replace(",", "\uff0c") in words


def test_streams_that_were_open_at_the_seal_are_named(tmp_path: Path) -> None:
    facts = replace(full_facts(), open_streams=("00000000000000aa",))
    words = words_of(make_document(facts), tmp_path)
    assert "录制机失联" in words and "00000000000000aa" in words


def test_text_that_the_font_lacks_is_shown_by_its_number(tmp_path: Path) -> None:
    facts = replace(full_facts(), issuer="中心\U0001f3a5\u0001")
    assert "〔U+1F3A5〕〔U+0001〕" in words_of(make_document(facts), tmp_path)


def test_every_font_is_embedded_and_the_file_says_pdf_a(document: bytes, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(document)
    lines = told_by("pdffonts", str(path)).splitlines()[2:]
    assert lines and all(line.split()[-5:-3] == ["yes", "yes"] for line in lines), lines
    info = told_by("pdfinfo", "-meta", str(path))
    assert "<pdfaid:part>3<" in info and "<pdfaid:conformance>B<" in info
    listed = told_by("pdfdetach", "-list", str(path))
    assert "facts.json" in listed
    told_by("pdfdetach", "-save", "1", "-o", str(tmp_path / "facts"), str(path))
    assert (tmp_path / "facts").read_bytes() == facts_bytes(full_facts())


def test_the_code_says_which_report_it_is(document: bytes, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(document)
    told_by("pdftoppm", "-r", "200", "-l", "1", "-png", "-singlefile", str(path), str(path))
    image = cv2.imdecode(np.fromfile(f"{path}.png", np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    said, _, _ = cv2.QRCodeDetector().detectAndDecode(image)
    assert said == code_text(full_facts())
    assert full_facts().root.leaf in said


def test_every_page_names_root_and_number(document: bytes, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(document)
    pages = told_by("pdftotext", "-raw", str(path), "-").split("\f")[:-1]
    facts = full_facts()
    assert len(pages) > 2
    for number, page in enumerate(pages, 1):
        assert facts.number in page and facts.root.leaf in page
        assert re.search(rf"第 ?{number} ?页", page), page[-200:]


def test_lengths_and_shares_are_rounded_down() -> None:
    assert length(3_599_999_999) == "0:59:59.999"
    assert (share(999_999, 1_000_000), share(0, 0)) == ("99.99%", "—")
    assert typeset("共 3 处,见(二)") == "共 3 处\uff0c见\uff08二\uff09"
