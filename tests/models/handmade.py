"""Model files made by hand, without torch: pickles whose classes are only names, in archives as torch lays them out."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class _Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes classes and functions by name, whether or not they can be imported."""

    def save_global(self, obj: Any, name: Any = None) -> None:
        self.write(pickle.GLOBAL + f"{obj.__module__}\n{obj.__qualname__}\n".encode())
        self.memoize(obj)

    dispatch = {**pickle._Pickler.dispatch, type: save_global, type(lambda: 0): save_global}  # type: ignore[attr-defined]  # noqa: RUF012

    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, Storage) else None


def named(qualified: str) -> type[Any]:
    """A class of a name that only a pickle knows."""
    module, _, name = qualified.rpartition(".")
    return type(name, (), {"__module__": module, "__qualname__": name})


class Storage:
    def __init__(self, kind: str, key: str, count: int, device: str) -> None:
        self.pid = ("storage", named(f"torch.{kind}Storage"), key, device, count)


class Call:
    """Pickled as the call of a function."""

    def __init__(self, function: str, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return named(self.function), self.arguments


def tensor(
    key: str, *shape: int, kind: str = "Float", device: str = "cpu", function: str = "_rebuild_tensor_v2"
) -> Call:
    count = 1
    for size in shape:
        count *= size
    strides = tuple(1 for _ in shape)
    return Call(f"torch._utils.{function}", Storage(kind, key, count, device), 0, shape, strides, False, {})


class Ordered(dict[str, Any]):
    """Pickled as the OrderedDict of a module's state, with its attribute ``_metadata``."""

    def __reduce__(self) -> Any:
        return named("collections.OrderedDict"), (), {"_metadata": {"": {"version": 1}}}, None, iter(self.items())


def instance(qualified: str, **attributes: Any) -> Any:
    made = named(qualified)()
    made.__dict__.update(attributes)
    return made


def pickled(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def archive(path: Path, records: Mapping[str, bytes | str], root: str = "net") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in records.items():
            file.writestr(f"{root}/{name}", content)
    return path


NET_CODE = """\
class Net(Module):
  __parameters__ = []
  __buffers__ = ["mean", ]
  training : bool
  mean : Tensor
  fc : __torch__.torch.nn.modules.linear.___torch_mangle_3.Linear
  def forward(self: __torch__.demo.Net,
    x: Tensor,
    n: int=2) -> Tuple[Tensor, int]:
    if bool(torch.gt(torch.sum(x), 0)):
      x0 = torch.mul(x, 2)
    else:
      x0 = x
    y = torch.view(x0, [2, 8])
    z = torch.rand_like(y, dtype=None)
    w = torch.zeros([4], device=torch.device("cuda:0"))
    return (ops.my_ops.warp(torch.add(y, z), w), n)
  def half(self: __torch__.demo.Net,
    x: Tensor) -> Optional[Tensor]:
    return ops.torchvision.nms(x)
def helper(x: Tensor) -> Tensor:
  return torch.add(x, x)
"""
LINEAR_CODE = """\
class Linear(Module):
  def forward(self: __torch__.torch.nn.modules.linear.___torch_mangle_3.Linear,
    input: Tensor) -> Tensor:
    return torch.linear(input, self.weight, self.bias)
"""


def net_records(**changes: bytes | str) -> dict[str, bytes | str]:
    """The records of a small TorchScript program."""
    linear = instance(
        "__torch__.torch.nn.modules.linear.___torch_mangle_3.Linear",
        training=False,
        weight=tensor("0", 4, 8),
        bias=tensor("1", 4),
    )
    net = instance(
        "__torch__.demo.Net",
        training=True,
        mean=tensor("2", 3, kind="Double"),
        fc=linear,
        shared=linear,
        sizes=Call("torch.jit._pickle.build_intlist", [1, 2]),
        label="dog",
    )
    return {
        "data.pkl": pickled(net),
        "constants.pkl": pickled((tensor("0", 5, kind="Long"),)),
        "code/__torch__/demo.py": NET_CODE,
        "code/__torch__/torch/nn/modules/linear/___torch_mangle_3.py": LINEAR_CODE,
        "data/0": b"\0" * 128,
        "data/1": b"\0" * 16,
        "data/2": b"\0" * 24,
        "extra/labels.txt": "cat\ndog\n",
        "version": "3\n",
        **changes,
    }


def exported_records() -> dict[str, bytes | str]:
    """The records of a program of torch.export with one linear layer."""

    def meta(*sizes: object) -> dict[str, Any]:
        return {
            "dtype": 7,
            "sizes": [{"as_int": s} if isinstance(s, int) else {"as_expr": {"expr_str": s}} for s in sizes],
            "device": {"type": "cpu", "index": None},
        }

    def argument(name: str) -> dict[str, Any]:
        return {"as_tensor": {"name": name}}

    program = {
        "graph_module": {
            "graph": {
                "nodes": [
                    {
                        "target": "torch.ops.aten.linear.default",
                        "inputs": [{"name": n, "arg": argument(n)} for n in ("x", "p_fc_weight", "p_fc_bias")],
                        "outputs": [argument("linear")],
                    }
                ],
                "tensor_values": {
                    "x": meta("s0", 8),
                    "p_fc_weight": meta(4, 8),
                    "p_fc_bias": meta(4),
                    "linear": meta("s0", 4),
                },
            },
            "signature": {
                "input_specs": [
                    {"parameter": {"arg": {"name": "p_fc_weight"}, "parameter_name": "fc.weight"}},
                    {"parameter": {"arg": {"name": "p_fc_bias"}, "parameter_name": "fc.bias"}},
                    {"user_input": {"arg": argument("x")}},
                ],
                "output_specs": [{"user_output": {"arg": argument("linear")}}],
            },
        },
        "torch_version": "2.13.0+cpu",
    }
    return {
        "archive_format": "pt2",
        "models/model.json": json.dumps(program),
        "data/weights/weight_0": b"\0" * 128,
        "extra/notes.txt": "hi",
        "version": "3",
    }
