"""Looking into TorchScript archives without torch."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from torchscript_build.errors import ModelError
from torchscript_build.models.archive import read_archive

CODE = """\
class Net(Module):
  stack : __torch__.torch.classes.my_ops.Stack
  def forward(self, x: Tensor) -> Tensor:
    y = ops.my_ops.warp(x)
    z = ops.aten.add(y, torch.mul(x, 2))
    return ops.other.warp(ops.prim.NumToTensor(z), ops.my_ops.warp(y))
"""
ENTRIES = {
    "net/version": "6\n",
    "net/constants.pkl": "c",
    "net/data.pkl": "d" * 500,
    "net/code/__torch__/net.py": CODE,
    "net/code/__torch__/net.py.debug_pkl": "ops.not_code.at_all",
}


def make_zip(path: Path, entries: Mapping[str, str], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make_zip(tmp_path / "net.pt", ENTRIES)


def damage(path: Path, needle: bytes) -> None:
    """Turn over two bytes behind the last place of a text that comes before the zip's directory."""
    data = bytearray(path.read_bytes())
    at = data.find(needle) + len(needle)
    data[at] ^= 0xFF
    data[at + 1] ^= 0xFF
    path.write_bytes(data)


def test_format_version_is_read(good: Path) -> None:
    assert read_archive(good).format_version == 6


def test_format_version_from_6_on_is_a_record_of_the_folder_data(tmp_path: Path) -> None:
    entries = {name.replace("net/version", "net/.data/version"): text for name, text in ENTRIES.items()}
    assert read_archive(make_zip(tmp_path / "net.pt", entries)).format_version == 6


@pytest.mark.torch
@pytest.mark.parametrize(
    ("call", "version"),
    [
        (lambda torch, x: x + 1, 3),
        (lambda torch, x: torch.linspace(0, 1, 5) + x, 8),
        (lambda torch, x: torch.logspace(0, 1, 5) + x, 9),
        (lambda torch, x: torch.nn.functional.gelu(x), 10),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_every_format_that_this_torch_writes_is_read(tmp_path: Path, call: Callable[..., Any], version: int) -> None:
    import torch

    class Net(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return call(torch, x)

    torch.jit.trace(Net(), torch.ones(5)).save(tmp_path / "net.pt")
    assert read_archive(tmp_path / "net.pt").format_version == version


def test_operators_outside_of_aten_and_prim_are_found_once_and_sorted(good: Path) -> None:
    assert read_archive(good).operators == ("my_ops::warp", "other::warp")


def test_custom_classes_are_found(good: Path) -> None:
    assert read_archive(good).classes == ("my_ops::Stack",)


def test_namespaces_are_those_of_operators_and_classes(good: Path) -> None:
    assert read_archive(good).namespaces == ("my_ops", "other")


def test_any_name_of_the_folder_inside_will_do(tmp_path: Path) -> None:
    entries = {name.replace("net/", "model épo/", 1): text for name, text in ENTRIES.items()}
    assert read_archive(make_zip(tmp_path / "x.pt", entries)).operators == ("my_ops::warp", "other::warp")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model .*gone\.pt"):
        read_archive(tmp_path / "gone.pt")


def test_folder_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a TorchScript archive"):
        read_archive(tmp_path)


def test_a_pointer_of_git_lfs_is_told(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match="is not a TorchScript archive: it is a pointer of Git LFS") as caught:
        read_archive(file)
    assert caught.value.cures == ("git lfs pull",)


@pytest.mark.parametrize("content", [b"", b"weights"])
def test_other_file_is_no_archive(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "net.pt"
    file.write_bytes(content)
    with pytest.raises(ModelError, match="not a TorchScript archive: it is no zip file") as caught:
        read_archive(file)
    assert any("torch.jit.save" in cure for cure in caught.value.cures)


def test_truncation_at_any_place_is_told(good: Path) -> None:
    data = good.read_bytes()
    for length in range(4, len(data), 11):
        good.write_bytes(data[:length])
        with pytest.raises(ModelError, match="truncated or corrupt"):
            read_archive(good)


def test_wrong_checksum_names_the_entry(good: Path) -> None:
    damage(good, b"net/data.pkl")
    with pytest.raises(ModelError, match=r"is corrupt: the checksum of net/data\.pkl is wrong"):
        read_archive(good)


def test_broken_compression_is_an_error_of_ours(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "net.pt", ENTRIES, zipfile.ZIP_DEFLATED)
    data = bytearray(file.read_bytes())
    data[data.find(b"net/data.pkl") + len("net/data.pkl")] = 0x07  # a block of a type that does not exist
    file.write_bytes(data)
    with pytest.raises(ModelError, match="corrupt"):
        read_archive(file)


def test_encrypted_zip_is_an_error_of_ours(good: Path) -> None:
    data = bytearray(good.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at != -1:
            data[at + flags] |= 1
            at = data.find(signature, at + 4)
    good.write_bytes(data)
    with pytest.raises(ModelError, match=r"not a TorchScript archive|corrupt"):
        read_archive(good)


def test_version_that_is_no_number_is_told(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "net.pt", {**ENTRIES, "net/version": "six"})
    with pytest.raises(ModelError, match="is corrupt: its version is b'six'"):
        read_archive(file)


def test_state_dict_is_told_from_a_model(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "weights.pt", {"w/version": "3", "w/data.pkl": "d", "w/data/0": "0"})
    with pytest.raises(ModelError, match=r"a pickled object without code, as torch\.save writes weights"):
        read_archive(file)


def test_archive_of_the_first_torch_is_told(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "old.pt", {"old/version": "1", "old/model.json": "{}", "old/code/old.py": ""})
    with pytest.raises(ModelError, match=r"torch 1\.0 to 1\.3 \(model\.json\)"):
        read_archive(file)


@pytest.mark.parametrize("folder", ["outer/", "./"])
def test_records_that_lie_too_deep_are_told(tmp_path: Path, folder: str) -> None:
    file = make_zip(tmp_path / "deep.pt", {folder + name: text for name, text in ENTRIES.items()})
    with pytest.raises(ModelError, match="its records lie too deep"):
        read_archive(file)


def test_a_model_that_lacks_its_version_is_not_taken_for_weights(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "net.pt", {name: text for name, text in ENTRIES.items() if name != "net/version"})
    with pytest.raises(ModelError, match="is corrupt: it lacks the record version"):
        read_archive(file)


def test_records_without_a_folder_are_told(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "flat.pt", {name.partition("/")[2]: text for name, text in ENTRIES.items()})
    with pytest.raises(ModelError, match="its records lie in no folder"):
        read_archive(file)


@pytest.mark.parametrize(
    "names",
    [
        ("x/archive_format", "x/models/model.json", "x/data/weights/model_weights_config.json", "x/.data/version"),
    ],
)
def test_package_of_torch_export_is_told_from_a_model(tmp_path: Path, names: tuple[str, ...]) -> None:
    file = make_zip(tmp_path / "x.pt2", dict.fromkeys(names, "1"))
    with pytest.raises(ModelError, match=r"it is a \.pt2 package of torch\.export"):
        read_archive(file)


def test_any_other_zip_is_no_model(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "x.pt", {"a/b": "c"})
    with pytest.raises(ModelError, match=r"neither version nor constants\.pkl"):
        read_archive(file)
