"""The file-system calls as the spool relies on them."""

from pathlib import Path

import pytest

from bidwitness.storage.spool.files import SystemFiles


def test_a_file_is_created_once_and_only_grows(tmp_path: Path) -> None:
    files = SystemFiles()
    files.make_dirs(tmp_path / "a" / "b")
    files.make_dirs(tmp_path / "a" / "b")
    path = tmp_path / "a" / "b" / "x"
    handle = files.create(path)
    with pytest.raises(FileExistsError):
        files.create(path)
    files.append(handle, b"one")
    files.sync(handle)
    files.close(handle)
    handle = files.open_append(path)
    files.append(handle, b"two")
    files.close(handle)
    assert path.read_bytes() == b"onetwo"
    files.truncate(path, 4)
    files.rename(path, path.with_name("y"))
    files.sync_dir(path.parent)
    assert path.with_name("y").read_bytes() == b"onet"
    files.unlink(path.with_name("y"))
    assert list(path.parent.iterdir()) == []
