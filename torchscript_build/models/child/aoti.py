"""Compiles a model ahead of time: ``torch.export``, then AOTInductor, into a ``.pt2`` package."""

import copy
import json
import os
import shlex
import subprocess
import zipfile
from typing import Any, Optional

RECORD = "extra/torchscript-build.json"
"""What the package is called with and needs; the runner's files/package.cpp reads it."""
LARGEST = 2**62
"""A size without an upper bound."""
VECTORS = {"x86-64": 1, "x86-64-v2": 1, "x86-64-v3": 256, "x86-64-v4": 512}
"""Bits of the vectors that a level of processors has; 1: none that inductor writes code for."""
EXTENSIONS = (
    *("sse3", "pclmul", "ssse3", "fma", "sse4.1", "sse4.2", "movbe", "popcnt", "aes", "avx", "f16c", "bmi", "avx2"),
    *("bmi2", "avx512f", "avx512dq", "adx", "avx512ifma", "avx512cd", "sha", "avx512bw", "avx512vl", "avx512vbmi"),
    *("avx512vbmi2", "gfni", "vaes", "vpclmulqdq", "avx512vnni", "avx512bitalg", "avx512vpopcntdq"),
    *("avx512vp2intersect", "amx-bf16", "avx512fp16", "amx-tile", "amx-int8", "avxvnni", "avx512bf16", "amx-fp16"),
    *("avxifma", "avxvnniint8", "avxneconvert", "lzcnt", "sse4a", "xop", "fma4", "tbm"),
)
"""The extensions that the program looks for, in gcc's names (the runner's program/processor.cpp)."""


class NotCompiled(Exception):
    """Why a model has no package, in one sentence."""


def prepare(folder: str) -> None:
    """Before torch's compiler is imported: its files stay in the build folder, and it starts no helpers in advance."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(folder, "inductor")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")


def program_of(torch: Any, original: Any, args: "tuple[Any, ...]", shapes: Any) -> Any:
    """The exported program of a module, a function, or a scripted module.

    :param shapes: as ``dynamic_shapes_of`` makes them.
    """
    args = contiguous(torch, args)
    if is_scripted(torch, original):
        from torch._export.converter import TS2EPConverter

        return TS2EPConverter(original, args).convert()
    module, specs = original, shapes
    if not isinstance(original, torch.nn.Module):
        module, specs = as_module(torch, original), None if shapes is None else (shapes,)
    with torch.no_grad():
        return torch.export.export(module, args, dynamic_shapes=specs, strict=False)


def is_scripted(torch: Any, original: Any) -> bool:
    """Has it been scripted or traced?"""
    kinds = (torch.jit.ScriptModule, getattr(torch.jit, "ScriptFunction", torch.jit.ScriptModule))
    return isinstance(original, kinds)


def as_module(torch: Any, function: Any) -> Any:
    """A function as a module."""

    class Module(torch.nn.Module):  # type: ignore[misc]
        def forward(self, *args: Any) -> Any:
            return function(*args)

    return Module().eval()


def fresh(original: Any) -> Any:
    """The model as it was made, whatever calls do to its state."""
    try:
        return copy.deepcopy(original)
    except Exception:  # noqa: BLE001 - some modules cannot be copied
        return original


def contiguous(torch: Any, args: Any) -> Any:
    """The arguments with their elements in the usual order, which the package will expect."""
    from torch.utils import _pytree

    return _pytree.tree_map(lambda a: a.contiguous() if isinstance(a, torch.Tensor) else a, args)


def names_of(original: Any, count: int) -> "list[str]":
    """What the first arguments of a module or function are called."""
    import inspect

    function = getattr(original, "forward", original)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in plain][:count]
    return names + [f"input{i}" for i in range(len(names), count)]


def dynamic_shapes_of(torch: Any, original: Any, args: "tuple[Any, ...]", wanted: Any) -> Any:
    """The setting ``dynamic-shapes`` as torch.export takes it; ``None``: all sizes are those of the example.

    :raises NotCompiled: it names an argument or a dimension that is not there.
    """
    from torch.utils import _pytree

    if not wanted:
        return None
    if wanted == "auto":
        auto = torch.export.Dim.AUTO
        return _pytree.tree_map(
            lambda a: dict.fromkeys(range(a.dim()), auto) if isinstance(a, torch.Tensor) else None, args
        )
    names = names_of(original, len(args))
    specs: list[Any] = [None] * len(args)
    dims: dict[str, Any] = {}
    for name, sizes in wanted.items():
        if name not in names:
            raise NotCompiled(f"dynamic-shapes: it has no argument {name!r} (it has {', '.join(names)})")
        arg = args[names.index(name)]
        count = arg.dim() if isinstance(arg, torch.Tensor) else 0
        specs[names.index(name)] = made = {}
        for index, text in sizes.items():
            if not 0 <= int(index) < count:
                raise NotCompiled(f"dynamic-shapes: {name} has no dimension {index}; its example has {count}")
            if text not in dims:
                symbol, _, bounds = text.partition("=")
                least, _, most = bounds.partition("..")
                limits = {"min": int(least) if least else None, "max": int(most) if most else None}
                dims[text] = torch.export.Dim(symbol, **limits)
            made[int(index)] = dims[text]
    return tuple(specs)


def compile_package(torch: Any, program: Any, output: str, about: "dict[str, Any]", cpu: str) -> None:
    """Compile an exported program, and write down what its callers and machines must know.

    :param about: ``names`` of its arguments, ``symbols`` of its sizes.
    :raises NotCompiled: this torch cannot do it.
    """
    from torch._inductor import config

    options: dict[str, Any] = {"fallback_random": True}
    if cpu != "native":
        if not hasattr(config.cpp, "march"):
            raise NotCompiled(f"cpu = {cpu!r}: torch {torch.__version__} compiles for this machine's processor only")
        options.update({"cpp.march": cpu, "cpp.simdlen": VECTORS[cpu]})
    if gives_text(program):
        raise NotCompiled("its outputs have text among them, which AOTInductor does not give")
    facts = signature_of(torch, program, about)
    part = output + ".part.pt2"
    torch._inductor.aoti_compile_and_package(program, package_path=part, inductor_configs=options)
    facts["extensions"] = extensions_of(part)
    with zipfile.ZipFile(part, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{folder}/{RECORD}", json.dumps(facts))
    os.replace(part, output)


def gives_text(program: Any) -> bool:
    """Is there text among the outputs of an exported program?"""
    return any(isinstance(getattr(spec.arg, "value", None), str) for spec in program.graph_signature.output_specs)


def extensions_of(package: str) -> "list[str]":
    """What of the processor the command that compiled a package may use; it stands at the end of its source."""
    with zipfile.ZipFile(package) as archive:
        sources = [n for n in archive.namelist() if n.endswith(".cpp")]
        texts = [archive.read(n).decode("utf-8", "replace") for n in sources]
    found: set[str] = set()
    for text in texts:
        _, _, after = text.rpartition("// Compile cmd\n// ")
        words = shlex.split(after.partition("\n")[0]) if after != text else []
        options = [w for w in words if w.startswith(("-m", "-march", "-mcpu"))]
        if words:
            done = subprocess.run(
                [words[0], *options, "-dM", "-E", "-x", "c++", os.devnull], capture_output=True, text=True, check=False
            )
            macros = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("#define __")}
            found |= {name for name in EXTENSIONS if _macro(name) in macros}
    return sorted(found)


def _macro(extension: str) -> str:
    """``sse4.1`` → ``__SSE4_1__``."""
    return f"__{extension.upper().replace('.', '_').replace('-', '_')}__"


def signature_of(torch: Any, program: Any, about: "dict[str, Any]") -> "dict[str, Any]":
    """What a program takes and gives, leaf by leaf."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    names = symbols_of(program, values, about["symbols"])
    signature = program.graph_signature
    tensors = dict(program.named_parameters()), dict(program.named_buffers())
    inputs = [_leaf(s.arg, values, names, program) for s in signature.input_specs if s.kind.name == "USER_INPUT"]
    if any("number" in leaf for leaf in inputs):
        raise NotCompiled("one of its inputs is a number that varies, which no package takes")
    return {
        "torch": str(torch.__version__),
        "arguments": about["names"],
        "inputs": inputs,
        "outputs": [
            _leaf(s.arg, values, names, program) for s in signature.output_specs if s.kind.name == "USER_OUTPUT"
        ],
        "parameters": _totals(tensors[0]),
        "buffers": _totals(tensors[1]),
    }


def symbols_of(program: Any, values: "dict[str, Any]", wanted: "dict[str, dict[str, str]]") -> "dict[str, str]":
    """Torch's symbols (``s77``) → what the settings call them."""
    found: dict[str, str] = {}
    for name, sizes in wanted.items():
        value = values.get(name)
        for index, text in sizes.items():
            size = value.shape[int(index)] if value is not None and int(index) < value.dim() else 0
            if not isinstance(size, int):
                found[str(size)] = text.partition("=")[0]
    return found


def _leaf(arg: Any, values: "dict[str, Any]", names: "dict[str, str]", program: Any) -> "dict[str, Any]":
    kind = type(arg).__name__
    if kind == "TensorArgument":
        value = values[arg.name]
        shape = [s if isinstance(s, int) else _size(s, names, program) for s in value.shape]
        return {"dtype": str(value.dtype).rpartition(".")[2], "shape": shape}
    if kind == "ConstantArgument":
        plain = arg.value if arg.value is None or isinstance(arg.value, (bool, int, float, str)) else str(arg.value)
        return {"value": plain}
    return {"number": True}


def _size(size: Any, names: "dict[str, str]", program: Any) -> Any:
    """``[name, least, most]``; one that is computed from others is only known to be a size; a number if it is fixed."""
    text = str(size)
    if text.isdigit():
        return int(text)
    for symbol, limits in program.range_constraints.items():
        if str(symbol) == text:
            return [names.get(text, text), _bound(limits.lower, 0), _bound(limits.upper, LARGEST)]
    return [text, 0, LARGEST]


def _bound(value: Any, otherwise: int) -> int:
    try:
        return min(max(int(value), 0), LARGEST)
    except (TypeError, ValueError, OverflowError, AttributeError):  # the last by sympy's infinities
        return otherwise


def _totals(tensors: "dict[str, Any]") -> "list[int]":
    unique = {id(t): t for t in tensors.values()}.values()
    elements = sum(t.numel() for t in unique)
    return [len(unique), elements, sum(t.numel() * t.element_size() for t in unique)]


def load_package(torch: Any, file: str) -> Any:
    """A package as a function that returns what the model does: numbers where that gives numbers."""
    from torch._inductor import codecache  # noqa: F401 - 2.10 uses it without importing it
    from torch.utils import _pytree

    package = torch._inductor.aoti_load_package(file)
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(f"/{RECORD}")]
        leaves = json.loads(archive.read(names[0]))["outputs"] if names else []

    def call(*args: Any) -> Any:
        made, structure = _pytree.tree_flatten(package(*contiguous(torch, args)))
        for index, leaf in enumerate(leaves):
            if "number" in leaf:
                made[index] = made[index].item()
            elif "value" in leaf:
                made[index] = leaf["value"]
        return _pytree.tree_unflatten(made, structure)

    return call


def missing_fake_kernel(torch: Any, error: BaseException) -> Optional[str]:
    """The operator without a fake kernel that an error is about: ``my_ops::warp``."""
    import re

    text = str(error)
    if "fake impl" not in text and "Meta kernel" not in text and "UnsupportedOperator" not in type(error).__name__:
        return None
    match = re.search(r"\b([A-Za-z_]\w*)(?:::|\.)([A-Za-z_]\w*)", text.replace("torch.ops.", ""))
    return f"{match[1]}::{match[2]}" if match else None


def fake_kernel_of(torch: Any, operator: str) -> str:
    """A fake kernel to complete, from the operator's schema."""
    namespace, _, name = operator.partition("::")
    schema = getattr(getattr(torch.ops, namespace), name).default._schema
    names = [a.name for a in schema.arguments]
    first = next((a.name for a in schema.arguments if str(a.type) == "Tensor"), "…")
    made = ", ".join(f"{first}.new_empty({first}.shape)" for _ in schema.returns) or "None"
    return (
        f'@torch.library.register_fake("{operator}")\ndef _({", ".join(names)}):\n    return {made}  # its shape, dtype'
    )
