"""``verify.html``: opened from a file in a real Chromium without a network, fed real packages.

That it says of every attack what the others say is held by the tests of the attacks themselves.
"""

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page
from support.attacks import media
from support.browser import AXE, violations
from support.evidence_session import make_package, make_session, make_stream
from support.log_scene import Scene
from support.needs import absent
from support.page_verifier import PageVerifier, found_by, running_page

from bidwitness.storage.evidence.canonical import JsonValue, canonical
from bidwitness.storage.evidence.merkle import hash_leaf
from bidwitness.storage.evidence.page_bundle import SCRIPTS, verifier_page
from bidwitness.storage.evidence.verify import verify_package

# Of a file no more than this is ever in memory.
PART = 4 << 20


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[PageVerifier]:
    """A page of its own, to be changed."""
    with running_page(tmp_path) as page:
        yield page


def test_it_loads_nothing_and_may_load_nothing() -> None:
    html = verifier_page()
    assert "default-src 'none'" in html
    assert "unsafe" not in html
    assert not re.search(r"""(src|href|action)\s*=\s*["']""", html)
    assert not re.search(r"url\(|@import|\bimport\b|XMLHttpRequest|\bfetch\(|WebSocket", html)
    assert html.count("<script") == html.count("</script>") == 2


def test_each_script_is_taken() -> None:
    folder = Path(__file__).parents[3] / "storage" / "evidence" / "page"
    assert {path.stem for path in folder.glob("*.js")} == set(SCRIPTS)


def test_it_lies_in_each_package_and_changes_nothing_there(bag: Path, page: PageVerifier) -> None:
    assert (bag / "verify.html").read_text(encoding="utf-8") == verifier_page()
    assert verify_package(bag).exit_code == 3
    (bag / "verify.html").write_text("<p>authentic</p>", encoding="utf-8")
    assert "verify.html" in {problem.where for problem in verify_package(bag).problems}
    assert "verify.html" in {problem.where for problem in page.verify_package(bag).problems}


def test_what_people_see(scene: Scene, fresh: PageVerifier) -> None:
    bag = scene.bag(scene.log())
    if not AXE.is_file():
        absent("axe-core (make web)")

    def look(page: Page) -> None:
        assert violations(page) == []
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        page.locator("#start").click()
        assert "请先选择证据包" in page.locator("#status").inner_text()
        assert found_by(page, bag, scene.policy)["exit_code"] == 0
        assert "真实" in page.locator("#verdict").inner_text()
        assert "校验完成" in page.locator("#status").inner_text()
        assert "cam-a" in page.locator("table").first.inner_text()
        assert "由 FLAC 还原所收 G.711 声音" not in page.locator("#result").inner_text()
        assert "site-1/log/2023" in page.locator("#result").inner_text()
        assert violations(page) == []
        page.locator("#language").click()
        assert page.locator("html").get_attribute("lang") == "en"
        assert "authentic: agrees with the trust material" in page.locator("#verdict").inner_text()
        assert not re.search(r"[\u4e00-\u9fff]", page.locator("#result").inner_text())
        assert violations(page) == []
        with page.expect_download() as saving:
            page.get_by_role("button", name="Save the result").click()
        assert b'"verdict": "authentic"' in Path(saving.value.path()).read_bytes()
        path = media(bag, "cam-b", 1)
        path.write_bytes(path.read_bytes()[:-1])
        assert found_by(page, bag, scene.policy)["exit_code"] == 1
        assert "NOT authentic" in page.locator("#verdict").inner_text()
        assert path.name in page.get_by_role("table", name="Problems").inner_text()
        assert violations(page) == []

    fresh.run(look)


def test_without_the_browsers_signatures_nothing_is_authentic(
    scene: Scene, fresh: PageVerifier
) -> None:
    bag = scene.bag(scene.log())
    assert fresh.verify_package(bag, scene.policy).exit_code == 0

    def take_away(page: Page) -> None:
        page.reload()
        page.evaluate("() => { crypto.subtle.importKey = () => Promise.reject(new Error('no')); }")

    fresh.run(take_away)
    report = fresh.verify_package(bag, scene.policy)
    assert (report.exit_code, report.problems) == (3, [])
    assert "this browser does not know it" in " ".join(en for _, en in report.not_checked)


def test_a_zip_packed_or_not_says_what_the_folder_says(
    bag: Path, tmp_path: Path, page: PageVerifier
) -> None:
    whole = verify_package(bag)
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = tmp_path / f"p{kind}.zip"
        with zipfile.ZipFile(path, "w", kind) as archive:
            for item in sorted(bag.rglob("*")):
                if item.is_file():
                    archive.write(item, f"top/{item.relative_to(bag).as_posix()}")
        report = page.verify_package(path)
        assert (report.exit_code, report.problems) == (3, [])
        assert report.streams[0].recorded_us == whole.streams[0].recorded_us
        assert report.digest == whole.digest
        torn = tmp_path / f"torn{kind}.zip"
        torn.write_bytes(path.read_bytes()[:-30])
        assert page.verify_package(torn).exit_code == verify_package(torn).exit_code == 2


def test_a_folder_that_holds_exactly_one_bag(bag: Path, tmp_path: Path, page: PageVerifier) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    bag.rename(outer / "one")
    assert page.verify_package(outer).exit_code == 3
    shutil.copytree(outer / "one", outer / "two")
    assert page.verify_package(outer).exit_code == verify_package(outer).exit_code == 2


def test_big_files_are_read_in_parts(tmp_path: Path, fresh: PageVerifier) -> None:
    streams = [make_stream("cam-a")]
    make_package(tmp_path / "bag", streams, make_session(streams))
    big = tmp_path / "bag" / "data" / "big.bin"
    with big.open("wb") as out:
        out.truncate(5 * PART + 123)
    watch = """() => {
        const read = Blob.prototype.arrayBuffer;
        window.most = 0;
        Blob.prototype.arrayBuffer = function () {
            window.most = Math.max(window.most, this.size);
            return read.call(this);
        };
    }"""
    fresh.run(lambda page: page.evaluate(watch))
    told = fresh.verify_package(tmp_path / "bag")
    assert {problem.where for problem in told.problems} == {"data/big.bin", "bag-info.txt"}
    assert 0 < fresh.run(lambda page: page.evaluate("window.most")) <= PART


def test_what_a_package_says_is_shown_as_text(tmp_path: Path, page: PageVerifier) -> None:
    streams = [make_stream("cam-a")]
    make_package(tmp_path / "bag", streams, make_session(streams))
    (tmp_path / "bag" / "<img src=x onerror=alert(1)>\u202e.txt").write_bytes(b"x")
    page.verify_package(tmp_path / "bag")

    def look(page: Page) -> None:
        assert page.locator("#result img").count() == 0
        assert "\\u{202e}" in page.locator("#result").inner_text()

    page.run(look)


def test_evidence_reports_are_held_against_the_records(bag: Path, page: PageVerifier) -> None:
    lines = next((bag / "data/session").iterdir()).read_bytes().splitlines()
    good = {
        "t": "evidence_report",
        "number": "GZ-1",
        "sitting": {"session": "session-1"},
        "root": {"seq": 3, "leaf": hash_leaf(lines[3]).hex()},
    }
    changes: dict[str, dict[str, JsonValue]] = {
        "good": {},
        "kind": {"t": "another"},
        "session": {"sitting": {"session": "session-2"}},
        "leaf": {"root": {"seq": 2, "leaf": hash_leaf(lines[3]).hex()}},
        "beyond": {"root": {"seq": 99, "leaf": hash_leaf(lines[3]).hex()}},
        "none": {"root": None},
    }
    (bag / "report").mkdir()
    for name, change in changes.items():
        (bag / "report" / f"{name}.json").write_bytes(canonical({**good, **change}))
        (bag / "report" / f"{name}.pdf").write_bytes(b"%PDF")
    (bag / "report" / "alone.pdf").write_bytes(b"%PDF")
    (bag / "report" / "bare.json").write_bytes(canonical(good))
    ours, theirs = verify_package(bag), page.verify_package(bag)
    assert ours.problems == theirs.problems
    assert len(ours.problems) == 7
    assert (ours.reports, ours.notes, ours.not_checked) == (
        theirs.reports,
        theirs.notes,
        theirs.not_checked,
    )
