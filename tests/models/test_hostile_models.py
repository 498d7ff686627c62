"""Model files that nobody saved in good faith: each is refused with a sentence, before anything large is unpacked."""

from __future__ import annotations

import io
import resource
import zipfile
from pathlib import Path

import pytest

from torchscript_build.errors import ModelError
from torchscript_build.models.archive import read_archive
from torchscript_build.models.contents import read_contents


def model(
    path: Path, *, method: int = 0, code: bytes = b"x", version: bytes = b"3\n", more: str = "m/data.pkl"
) -> Path:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in (("m/version", version), ("m/constants.pkl", b""), ("m/code/x.py", code), (more, b"")):
            info = zipfile.ZipInfo("a")
            info.filename, info.compress_type = name, method
            archive.writestr(info, content)
    path.write_bytes(stream.getvalue())
    return path


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_archive(path)
    return caught.value.problem


def test_a_good_one_is_read(tmp_path: Path) -> None:
    assert read_archive(model(tmp_path / "m.pt", code=b"ops.my.add", method=8)).operators == ("my::add",)


def test_code_that_inflates_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = model(tmp_path / "m.pt", method=8, code=bytes(200 << 20))
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "'m/code/x.py' would unpack to 209715200 bytes" in refused(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss <= max(before, made) + 20_000


def test_declared_sizes_are_believed_no_more_than_the_file_is_large(tmp_path: Path) -> None:
    path = model(tmp_path / "m.pt")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (0xF0000000).to_bytes(4, "little")
    path.write_bytes(data)
    assert "would unpack to 4026531840 bytes" in refused(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_torch_does_not_use_are_refused(tmp_path: Path, method: int) -> None:
    assert f"packed by a method that torch does not use ({method})" in refused(model(tmp_path / "m.pt", method=method))


@pytest.mark.parametrize("version", [b"", b"six", b"9" * 5000, b"-3", b"\xff"])
def test_a_version_that_is_none(tmp_path: Path, version: bytes) -> None:
    path = model(tmp_path / "m.pt", version=version)
    if version.isdigit():
        assert read_archive(path).format_version > 10**9
    else:
        assert "is corrupt: its version is " in refused(path)


@pytest.mark.parametrize("name", ["", "x" * 60_000, "m/code/../../x.py", "m/\n"])
def test_odd_names_do_no_harm(tmp_path: Path, name: str) -> None:
    assert read_archive(model(tmp_path / "m.pt", more=name)).format_version == 3


@pytest.mark.parametrize("word", [b"PK\x01\x02", b"PK\x05\x06"])
def test_a_damaged_directory_is_a_sentence_where_models_are_looked_at_too(tmp_path: Path, word: bytes) -> None:
    path = model(tmp_path / "m.pt")
    data = path.read_bytes()
    at = data.index(word)
    path.write_bytes(data[:at] + b"XX" + data[at + 2 :])
    with pytest.raises(ModelError, match=r"m\.pt is (damaged|truncated)"):
        read_contents(path)
