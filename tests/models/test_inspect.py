"""What a model file holds, told without torch; and that nothing in it is ever executed."""

from __future__ import annotations

import html.parser
import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from children import run_child
from handmade import Ordered, archive, exported_records, instance, net_records, pickled, tensor

from torchscript_build.__main__ import main
from torchscript_build.errors import ModelError
from torchscript_build.models.contents import plain_type, read_contents
from torchscript_build.models.differences import differences
from torchscript_build.models.exported_graph import expression
from torchscript_build.models.page import HEIGHT, WIDTH, lay_out, render_page
from torchscript_build.models.risks import lowest_libtorch, quantization_of, risks_of
from torchscript_build.models.unpickle import LIMIT, Opaque, TensorInfo, read_pickle


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return archive(tmp_path / "net.pt", net_records())


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["inspect", *map(str, arguments)])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, captured.out


# --- TorchScript ---------------------------------------------------------------------------------------------------


def test_a_torchscript_program(net: Path) -> None:
    contents = read_contents(net)
    assert (contents.kind, contents.format_version) == ("TorchScript", 3)
    assert contents.methods == (
        "forward(x: Tensor, n: int=2) -> Tuple[Tensor, int]",
        "half(x: Tensor) -> Optional[Tensor]",
    )
    assert {n: (t.dtype, t.shape) for n, t in contents.tensors.items()} == {
        "mean": ("float64", (3,)),
        "fc.weight": ("float32", (4, 8)),
        "fc.bias": ("float32", (4,)),
    }
    assert (contents.count, contents.root.size) == (39, 24 + 128 + 16)
    assert contents.root.type == "demo.Net"
    assert contents.root.attributes == {"training": "True", "sizes": "1, 2", "label": "'dog'"}
    fc, shared = contents.root.children
    assert (fc.type, shared.attributes) == ("torch.nn.modules.linear.Linear", {"same as": "fc"})
    assert contents.operators["aten::add"] == 2
    assert contents.operators["my_ops::warp"] == 1
    assert "aten::device" not in contents.operators
    assert [c.shape for c in contents.constants] == [(5,)]
    assert contents.extra == {"labels.txt": 8}
    assert sorted(contents.checksums) == ["0", "1", "2"]


def test_the_page_in_the_terminal(capsys: pytest.CaptureFixture[str], net: Path) -> None:
    code, out = run(capsys, net)
    assert code == 0
    for line in (
        f"{net}: a TorchScript program",
        "  lowest libtorch that reads it: 1.8",
        "  forward(x: Tensor, n: int=2) -> Tuple[Tensor, int]",
        f"  {'demo.Net':<56}  39, 168 bytes",
        f"  {'  fc (torch.nn.modules.linear.Linear)':<56}  36, 144 bytes",
        f"  {'    weight':<56}  float32[4, 8]",
        f"  {'  shared (torch.nn.modules.linear.Linear)':<56}  the same as fc",
        "  my_ops::warp ×1: a library of custom operators that registers my_ops",
        "  torchvision::nms ×1: torchvision (its _C library)",
        "  cuda:0 ×1",
        "  labels.txt (8 bytes)",
        "  a fixed shape: torch.view(…, [2, 8]): other input sizes may fail",
        "  training mode: the whole (call eval() before saving)",
    ):
        assert line in out.splitlines(), out
    assert "class Net(Module)" not in out
    assert "class Net(Module)" in run(capsys, net, "--code")[1]
    assert "weight" not in run(capsys, net, "--depth", "1")[1]


def test_the_risks(net: Path) -> None:
    text = "\n".join(risks_of(read_contents(net)))
    for words in (
        "device cuda:0 is written into the code once",
        "random operators: aten::rand_like",
        "data decide: 1 branches",
    ):
        assert words in text


def test_json(capsys: pytest.CaptureFixture[str], net: Path) -> None:
    data = json.loads(run(capsys, net, "--json")[1])
    assert data["tensors"]["fc.weight"] == "float32[4, 8]"
    assert data["operators"]["torchvision::nms"] == {"calls": 1, "provider": "torchvision (its _C library)"}
    assert data["lowest_libtorch"] == "1.8"


@pytest.mark.parametrize(
    ("version", "lowest"), [("5", "1.8"), ("6", "1.9"), ("9", "1.11"), ("10", "1.12"), ("11", "none")]
)
def test_the_lowest_libtorch(tmp_path: Path, version: str, lowest: str) -> None:
    path = archive(tmp_path / "net.pt", net_records(version=version))
    assert lowest_libtorch(read_contents(path)).startswith(lowest)


def test_a_mobile_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    method = (
        "__torch__.demo.Net.forward",
        (("instructions", ()), ("operators", (("aten::lstm", "input", 9), ("quantized::linear", "")))),
    )
    path = archive(tmp_path / "net.ptl", net_records(**{"bytecode.pkl": pickled((7, method))}))
    contents = read_contents(path)
    assert contents.kind == "mobile"
    assert {"aten::lstm", "quantized::linear"} < set(contents.operators)
    assert quantization_of(contents) == ["quantized operators: quantized::linear"]


def test_quantized_tensors_and_other_devices(tmp_path: Path) -> None:
    weight = tensor("0", 2, 2, kind="QInt8", device="cuda:1", function="_rebuild_qtensor")
    records = net_records(**{"data.pkl": pickled(instance("__torch__.demo.Net", weight=weight))})
    contents = read_contents(archive(tmp_path / "net.pt", records))
    assert quantization_of(contents) == ["quantized tensors: qint8"]
    assert "tensors were saved on cuda:1: loading wants that device, or a map_location" in risks_of(contents)


def test_a_program_that_holds_itself(tmp_path: Path) -> None:
    net = instance("__torch__.demo.Net", training=False)
    net.me = net
    contents = read_contents(archive(tmp_path / "net.pt", net_records(**{"data.pkl": pickled(net)})))
    assert contents.root.children[0].attributes == {"same as": "the whole"}


@pytest.mark.parametrize(
    ("qualified", "plain"),
    [
        ("__torch__.demo.Net", "demo.Net"),
        ("__torch__.torch.nn.modules.linear.___torch_mangle_12.Linear", "torch.nn.modules.linear.Linear"),
        ("__torch__.___torch_mangle_0.Net", "Net"),
        ("demo.Net", "demo.Net"),
    ],
)
def test_names_of_classes(qualified: str, plain: str) -> None:
    assert plain_type(qualified) == plain


# --- other kinds ---------------------------------------------------------------------------------------------------


def test_a_program_of_torch_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = archive(tmp_path / "net.pt2", exported_records())
    contents = read_contents(path)
    assert (contents.kind, contents.made_by) == ("pt2", "2.13.0+cpu")
    assert contents.methods == ("forward(x: float32[s0, 8]) -> float32[s0, 4]",)
    assert {n: t.shape for n, t in contents.tensors.items()} == {"fc.weight": (4, 8), "fc.bias": (4,)}
    assert contents.operators == {"aten::linear": 1}
    assert contents.code["models/model.json"] == "linear = torch.ops.aten.linear.default(x, p_fc_weight, p_fc_bias)"
    assert contents.extra == {"notes.txt": 2}
    assert "a program of torch.export" in run(capsys, path)[1]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Symbol('s77', positive=True, integer=True)", "s77"),
        ("Add(Symbol('s0', integer=True), Integer(-1))", "s0 + -1"),
        ("Mul(Integer(2), Add(Symbol('s0'), Symbol('s1')))", "2*s0 + s1"),
        ("FloorDiv(Symbol('s0'), Integer(2))", "FloorDiv(s0, 2)"),
        ("s0", "s0"),
    ],
)
def test_sizes_are_written_for_people(written: str, shown: str) -> None:
    assert expression(written) == shown


def test_a_package_of_aotinductor(tmp_path: Path) -> None:
    records = {
        "archive_format": "pt2",
        "data/aotinductor/model/m.so": b"\x7fELF",
        "data/aotinductor/model/m_metadata.json": "{}",
    }
    contents = read_contents(archive(tmp_path / "net.pt2", records))
    assert contents.kind == "AOTInductor"
    assert contents.root.attributes["m.so"] == "4 bytes"
    assert "the same kind of processor" in lowest_libtorch(contents)


WRAPPER = """\
    inputs_info_[0].name = "arg8_1";
    constants_info_[0].name = "fc_weight";
    constants_info_[0].dtype = cached_torch_dtype_float32;
    constants_info_[0].offset = 0;
    constants_info_[0].shape = {3, 4};
    constants_info_[0].stride = {4, 1};
    constants_info_[0].original_fqn = "fc.weight";
    out_spec_ = R"([1, {"type": "builtins.dict", "context": "[\\"out\\", \\"drop\\"]", "children_spec": []}])";
    outputs_info_[0].name = "output0";
    outputs_info_[1].name = "output1";
    int32_t arg8_1_expected_dtype = aoti_torch_dtype_float32();
    if (arg8_1_size[0] < 2) {
    if (arg8_1_size[0] > 64) {
    if (4 != arg8_1_size[1]) {
    if (4 != arg8_1_stride[0]) {
"""
"""Lines of what torch 2.13 writes."""


def test_what_a_compiled_package_says_of_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"AOTI_DEVICE_KEY": "cpu", "AOTI_PLATFORM": "linux", "AOTI_MACHINE": "x86_64", "AOTI_CPU_ISA": "AVX512"}
    records = {
        "archive_format": "pt2",
        "data/aotinductor/model/m.wrapper.so": b"\x7fELF",
        "data/aotinductor/model/m.wrapper.cpp": WRAPPER,
        "data/aotinductor/model/m.wrapper_metadata.json": json.dumps({**facts, "AOTI_COMPUTE_CAPABILITY": ""}),
    }
    path = archive(tmp_path / "net.pt2", records)
    contents = read_contents(path)
    assert contents.methods == ("run(arg8_1: float32[2…64, 4]) -> out, drop",)
    assert {n: (t.dtype, t.shape) for n, t in contents.tensors.items()} == {"fc.weight": ("float32", (3, 4))}
    assert risks_of(contents) == [
        "compiled for linux, x86_64, AVX512: a processor without these instructions cannot run it"
    ]
    assert "run(arg8_1: float32[2…64, 4]) -> out, drop" in run(capsys, path)[1]


def test_a_state_dict_is_told_kindly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = Ordered({"fc.weight": tensor("0", 4, 8), "fc.bias": tensor("1", 4), "epoch": 3})
    path = archive(tmp_path / "state.pth", {"data.pkl": pickled(state), "version": "3", "data/0": b""})
    assert set(read_contents(path).tensors) == {"fc.weight", "fc.bias"}
    code, out = run(capsys, path)
    assert code == 0
    assert "tensors without a program, as a state dict is. In Python, make the module, load_state_dict()" in out
    assert "weight" in out
    assert "lowest libtorch that reads it: none: it is no program" in out


def test_a_pickled_module_is_told_kindly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = instance(
        "demo.Net",
        _parameters={"weight": tensor("0", 2)},
        _modules={"fc": instance("demo.Fc", _parameters={"bias": tensor("1", 3)})},
    )
    path = archive(tmp_path / "whole.pth", {"data.pkl": pickled(module), "version": "3"})
    assert set(read_contents(path).tensors) == {"weight", "fc.bias"}
    assert "a Python object that torch.save pickled" in run(capsys, path)[1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.pt", b"", "is no model of torch's"),
        ("m.pt", b"PK\x03\x04and then nothing", "is truncated"),
        ("m.ff", b"\x30\0\0\0PTMF", "a mobile model in flatbuffers"),
        ("m.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "written by torch.save in its format before 1.6"),
        ("m.safetensors", b'\x10\0\0\0\0\0\0\0{"a":1}', "is no model of torch's"),
        (
            "m.onnx",
            b"\x08\x07\x12\x07pytorch",
            "is an ONNX model, which onnxruntime runs\n  do this:\n    - export the",
        ),
        ("m.pte", b"\x1c\0\0\0ET12", "is a program of ExecuTorch"),
        ("m.tflite", b"\x1c\0\0\0TFL3", "is a model of TensorFlow Lite"),
        ("m.h5", b"\x89HDF\r\n\x1a\n", "is an HDF5 file, as Keras writes"),
        ("m.npy", b"\x93NUMPY\x01\0", "is an array of NumPy: an input, not a model"),
        ("m.pt", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ("m.pt", b"<!DOCTYPE html>", "is a web page or XML"),
    ],
)
def test_other_files_are_called_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert main(["inspect", str(path)]) == 1
    assert words in capsys.readouterr().err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "/nowhere.pt"]) == 1
    assert "there is no model /nowhere.pt" in capsys.readouterr().err
    assert main(["inspect", "/"]) == 1
    assert capsys.readouterr().err == "error: / is a folder, and no model's file\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.txt", "is not a TorchScript archive: the zip has neither version nor constants.pkl"),
        ("MAR-INF/MANIFEST.json", "is not a TorchScript archive: it is an archive of TorchServe"),
        ("net-1.dist-info/WHEEL", "is not a TorchScript archive: it is a wheel"),
        ("weights/net.pt", r"it is a zip with a model in it \(weights/net.pt\)"),
        ("net/saved_model.pb", "it is a model of Keras or TensorFlow"),
    ],
)
def test_an_archive_that_is_no_model(tmp_path: Path, name: str, words: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as other:
        other.writestr(name, "x")
    with pytest.raises(ModelError, match=words):
        read_contents(tmp_path / "x.zip")


def test_safetensors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "fc.weight": {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]},
        "fc.bias": {"dtype": "BF16", "shape": [4], "data_offsets": [128, 136]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 136)
    found = read_contents(path)
    assert (found.kind, found.count) == ("safetensors", 36)
    code, out = run(capsys, path)
    assert code == 0
    assert "tensors without a program, in the format of safetensors" in out
    assert re.search(r"^ +bias +bfloat16\[4\]$", out, re.MULTILINE)


# --- safety --------------------------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('executed')",))


def test_nothing_is_executed() -> None:
    value = read_pickle(pickle.dumps(Evil()), "evil")
    assert isinstance(value, Opaque)
    assert (value.qualified, value.arguments) == ("builtins.exec", ("raise SystemExit('executed')",))


def test_nothing_is_imported(tmp_path: Path) -> None:
    path = archive(tmp_path / "net.pt", net_records(**{"data.pkl": pickled(instance("antigravity.Net", x=1))}))
    code = (
        "import sys; from pathlib import Path; from torchscript_build.models.contents import read_contents\n"
        f"read_contents(Path({str(path)!r})); print(sorted({{'torch', 'antigravity', 'numpy'}} & set(sys.modules)))"
    )
    assert run_child([sys.executable, "-c", code], stdout=subprocess.PIPE).stdout == b"[]\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02",
        b"no pickle",
        pickled(instance("a.B"))[:-3],
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02}]\x85s.",  # a list as a key
        b"\x80\x02K\x01K\x02b.",  # a state for a number
        b"\x80\x02cos\nsystem\nK\x01b.",
        b"\x80\x02\x8b\xff\xff\xff\x7f.",  # a number of two gigabytes
        b"\x80\x02K\x01r\xff\xff\xff\xff.",  # memory for four milliards of things
        b"\x80\x05\x96\xff\xff\xff\xff\x0f\0\0\0K\x01.",  # 64 gigabytes of bytes
    ],
)
def test_a_broken_pickle_is_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"data\.pkl is no pickle that can be read"):
        read_pickle(data, "data.pkl")


@pytest.mark.parametrize("width", [1, 2, 8])
def test_deep_and_bushy_values_are_read_in_no_time(tmp_path: Path, width: int) -> None:
    """Lists that hold one list several times have more leaves than there are atoms, and are told of once."""
    value: Any = [tensor("0", 2)]
    for _ in range(150):
        value = [value] * width
    for record in (instance("__torch__.demo.Net", deep=value), {"deep": value}):
        for kept in ({}, {"constants.pkl": pickled((value,))}):
            records = {**net_records(), **kept, "data.pkl": pickled(record)}
            assert read_contents(archive(tmp_path / "net.pt", records)).count in (0, 2)
            del records["constants.pkl"]
            assert read_contents(archive(tmp_path / "state.pt", records)).count in (0, 2)


def test_a_pickle_beyond_the_limit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchscript_build.models.unpickle.LIMIT", 10)
    assert LIMIT > 10
    with pytest.raises(ModelError, match="which no model needs; it is not read"):
        read_pickle(pickle.dumps("x" * 20), "data.pkl")


def test_a_storage_of_a_new_kind(tmp_path: Path) -> None:
    value = read_pickle(pickled(tensor("0", 2, kind="Float8_e4m3fn")), "x")
    assert isinstance(value, TensorInfo)
    assert value.dtype == "float8_e4m3fn"


# --- the page ------------------------------------------------------------------------------------------------------


class Balanced(html.parser.HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag


def test_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str], net: Path) -> None:
    page = tmp_path / "out/net.html"
    page.parent.mkdir()
    assert run(capsys, net, "--html", page) == (0, f"{page}\n")
    text = page.read_text(encoding="utf-8")
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert parser.seen.count("rect") == 3
    assert "http" not in text.replace("http-equiv", "")  # nothing is fetched
    for words in ("Net(Module)", "my_ops::warp", "labels.txt", "cuda:0", "float32[4, 8]", "the same as fc"):
        assert words in text


def test_the_page_escapes_what_the_model_says(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    net = instance("__torch__.demo.Net", **{evil: tensor("0", 2), "label": evil})
    records = net_records(**{"data.pkl": pickled(net), f"extra/{evil}".replace("/script", ""): "x", "code/x.py": evil})
    text = render_page(read_contents(archive(tmp_path / "net.pt", records))).decode()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_the_treemap_is_filled_and_nothing_overlaps(net: Path) -> None:
    tiles = lay_out(read_contents(net).root)
    area = sum(t.width * t.height for t in tiles)
    assert area == pytest.approx(WIDTH * HEIGHT)
    sizes = {t.label: t.width * t.height / area for t in tiles}
    assert sizes["fc.weight"] == pytest.approx(128 / 168)


# --- differences ---------------------------------------------------------------------------------------------------


def test_no_difference(capsys: pytest.CaptureFixture[str], tmp_path: Path, net: Path) -> None:
    other = archive(tmp_path / "other.pt", net_records())
    assert run(capsys, net, "--diff", other) == (0, "no difference\n")


def test_differences(capsys: pytest.CaptureFixture[str], tmp_path: Path, net: Path) -> None:
    records = net_records(version="6", **{"data/0": b"\1" * 128})
    code = str(records["code/__torch__/demo.py"]).replace("torch.rand_like(y, dtype=None)", "torch.relu(y)")
    other = archive(tmp_path / "other.pt", {**records, "code/__torch__/demo.py": code})
    lines = differences(read_contents(net), read_contents(other))
    assert lines[:2] == ["~ file format: 3 → 6", "~ lowest libtorch: 1.8 → 1.9"]
    for line in ("- operator aten::rand_like", "+ operator aten::relu", "~ tensor fc.weight: other numbers"):
        assert line in lines
    assert "+    z = torch.relu(y)" in lines
    assert run(capsys, net, "--diff", other)[0] == 1


# --- real models ---------------------------------------------------------------------------------------------------


def test_a_real_model_of_a_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.util import find_spec

    spec = find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "data/silero_vad.jit"
    contents = read_contents(path)
    assert contents.methods[0] == "forward(x: Tensor, sr: int) -> Tensor"
    assert contents.tensors["_model.encoder.0.reparam_conv.weight"].shape == (128, 129, 3)
    assert "aten::lstm_cell" in contents.operators
    assert all(c.size == 0 or c.dtype for c in contents.constants)
    assert "data decide" in "".join(risks_of(contents))


MAKE = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.body = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5))
        self.fc = nn.Linear(8, 4)
        self.names = ["a", "b"]
        self.register_buffer("mean", torch.zeros(3))
        self.shared = self.fc
    def forward(self, x, n: int = 2):
        if x.sum() > 0:
            x = x * 2
        for i in range(n):
            x = x + torch.rand_like(x)
        x = self.body(self.conv(x)).mean([2, 3])
        return self.fc(x).view(-1, 4) + torch.zeros(4, device="cpu")
    @torch.jit.export
    def half(self, x):
        return x.half()

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)
    def forward(self, x):
        return self.fc(x.view(x.shape[0], 8)).expand(2, 4) + torch.ones(4)

class Gelu(nn.Module):
    def forward(self, x):
        return nn.functional.gelu(x)

torch.jit.script(Net()).save("net.pt", _extra_files={"labels.txt": b"cat"})
torch.jit.script(Net().eval())._save_for_lite_interpreter("net.ptl")
plain = Plain().eval()
torch.jit.trace(plain, torch.ones(2, 8)).save("traced.pt")
torch.jit.script(Gelu()).save("gelu.pt")
quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 4)), {nn.Linear}, dtype=torch.qint8)
torch.jit.script(quantized).save("quantized.pt")
torch.save(Net().state_dict(), "state.pth")
torch.save(Net(), "whole.pth")
torch.save(Net().state_dict(), "legacy.pth", _use_new_zipfile_serialization=False)
torch.export.save(torch.export.export(plain, (torch.ones(2, 8),)), "plain.pt2", extra_files={"notes.txt": "hi"})

class Dynamic(nn.Module):
    def forward(self, x, n: int):
        x = torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x + torch.rand_like(x),))
        return {"out": x, "twice": 2 * n}

rows = torch.export.Dim("rows", min=1, max=64)
program = torch.export.export(Dynamic(), (torch.ones(3, 8), 2), dynamic_shapes={"x": {0: rows}, "n": None})
torch.export.save(program, "dynamic.pt2")
training = nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(0.5)).train()
class Training(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = training
    def forward(self, x):
        return self.inner(x)
torch.export.save(torch.export.export(Training(), (torch.ones(2, 8),)), "training.pt2")
"""


@pytest.mark.torch
def test_what_torch_itself_writes(tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text(MAKE)  # torch.jit.script reads the source
    run_child([sys.executable, "make.py"], cwd=tmp_path, check=True)
    net = read_contents(tmp_path / "net.pt")
    assert net.methods[0].startswith("forward(x: Tensor, n: int=2) -> Tensor")
    assert any(method.startswith("half(") for method in net.methods)
    tensors = {name: t.shape for name, t in net.tensors.items()}
    assert tensors["conv.weight"] == (8, 3, 3, 3)
    assert tensors["mean"] == (3,)
    assert net.count == 8 * 27 + 8 + 4 * 8 + 1 + 36 + 3
    assert net.extra == {"labels.txt": 3}
    risks = "\n".join(risks_of(net))
    for words in ("training mode: the whole", "random operators", "data decide: 1 branches", "device cpu is written"):
        assert words in risks
    mobile = read_contents(tmp_path / "net.ptl")
    assert mobile.kind == "mobile"
    assert "aten::conv2d" in mobile.operators
    assert "training mode: the whole" not in "\n".join(risks_of(mobile))
    traced = read_contents(tmp_path / "traced.pt")
    assert any("torch.expand(…, [2, 4])" in risk for risk in risks_of(traced))
    assert lowest_libtorch(read_contents(tmp_path / "gelu.pt")) == "1.12"
    assert quantization_of(read_contents(tmp_path / "quantized.pt"))
    assert read_contents(tmp_path / "state.pth").kind == "state dict"
    assert set(read_contents(tmp_path / "state.pth").tensors) >= {"conv.weight", "fc.bias", "mean"}
    whole = read_contents(tmp_path / "whole.pth")
    assert whole.kind == "pickle"
    assert set(whole.tensors) >= {"conv.weight", "fc.bias", "mean"}
    with pytest.raises(ModelError, match=r"in its format before 1\.6"):
        read_contents(tmp_path / "legacy.pth")
    dynamic = read_contents(tmp_path / "dynamic.pt2")
    assert re.fullmatch(
        r"forward\(x: float32\[(s\d+), 8\], n=2\) -> out: float32\[\1, 8\], twice: 4 where 1 ≤ \1 ≤ 64",
        dynamic.methods[0],
    )
    assert risks_of(dynamic) == [
        "random operators: aten::rand_like: outputs differ between runs",
        "data decide: cond ×1",
    ]
    assert {"aten::sin", "aten::cos"} <= set(dynamic.operators), "in the branches"
    assert "higher_order::cond" not in dynamic.operators
    training = "\n".join(risks_of(read_contents(tmp_path / "training.pt2")))
    assert "fixed input sizes: x is float32[2, 8]" in training
    assert "training mode: aten::batch_norm ×1, aten::dropout ×1" in training
    plain = read_contents(tmp_path / "plain.pt2")
    assert plain.methods == ("forward(x: float32[2, 8]) -> float32[2, 4]",)
    assert {name: t.shape for name, t in plain.tensors.items()}["fc.weight"] == (4, 8)
    assert "aten::linear" in plain.operators
    assert plain.made_by.startswith("2.")
    assert plain.extra == {"notes.txt": 2}
    for kind in (
        "net.pt",
        "net.ptl",
        "traced.pt",
        "plain.pt2",
        "dynamic.pt2",
        "quantized.pt",
        "state.pth",
        "whole.pth",
    ):
        assert b"</html>" in render_page(read_contents(tmp_path / kind))
