"""What a model's code and tensors may do where it runs: fixed devices and shapes, chance, ways that data decide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from torchscript_build.libtorch.releases import RELEASES
from torchscript_build.models.contents import Contents
from torchscript_build.models.namespaces import NAMESPACES

RANDOM = frozenset(
    (
        *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "bernoulli", "bernoulli_"),
        *("multinomial", "normal", "normal_", "uniform_", "random_", "exponential_", "poisson", "rrelu"),
        *("dropout", "dropout_", "feature_dropout", "alpha_dropout", "native_dropout"),
    )
)
"""Operators of aten whose result is chance; dropout only in training mode."""

PROVIDERS = {
    "torchvision": "torchvision (its _C library)",
    "torchaudio": "torchaudio (its libtorchaudio)",
    "torchtext": "torchtext (its _torchtext library)",
    "torch_scatter": "torch-scatter",
    "torch_sparse": "torch-sparse",
    "torch_cluster": "torch-cluster",
    "torch_spline_conv": "torch-spline-conv",
    "fbgemm": "fbgemm-gpu",
    "torchao": "torchao",
    "xformers": "xformers",
}
"""Namespaces outside of libtorch → the distribution whose library registers them."""

_DEVICE = re.compile(r'torch\.device\("([^"]+)"\)|\bdevice="([a-z]+(?::\d+)?)"|Device\(type=[\'"](\w+)')
_FIXED = re.compile(r"torch\.(view|reshape|expand)\((?:[^()\[\],\n]|\([^()\n]*\))+, \[(\d+(?:, \d+)*)\]")


def devices_of(contents: Contents) -> dict[str, int]:
    """Devices that the code names → how often."""
    found: Counter[str] = Counter()
    for text in contents.code.values():
        found.update(next(filter(None, groups)) for groups in _DEVICE.findall(text))
    return dict(sorted(found.items()))


def provider_of(name: str) -> str:
    """Who registers an operator or a custom class."""
    namespace = name.partition("::")[0]
    if namespace in NAMESPACES or namespace == "rnn":
        return "libtorch"
    return PROVIDERS.get(namespace, f"a library of custom operators that registers {namespace}")


def lowest_libtorch(contents: Contents) -> str:
    """The first release that reads the file's format; its operators may want a newer one."""
    if contents.kind == "pt2":
        return f"the torch that wrote it or a newer one ({contents.made_by or 'it does not say which'})"
    if contents.kind == "AOTInductor":
        return "the release that compiled it, on the same kind of processor or GPU"
    if contents.format_version is None:
        return "none: it is no program"
    row = next((r for r in RELEASES if r.archive_format >= (contents.format_version or 0)), None)
    return f"{row.series[0]}.{row.series[1]}" if row else f"none that is known (file format {contents.format_version})"


def quantization_of(contents: Contents) -> list[str]:
    """Signs of quantization, in words."""
    signs = []
    packed = [c for c in contents.classes if c.startswith("quantized::")]
    if packed:
        signs.append(f"packed weights: {', '.join(packed)}")
    dtypes = sorted({t.dtype for t in contents.tensors.values() if t.quantized})
    if dtypes:
        signs.append(f"quantized tensors: {', '.join(dtypes)}")
    operators = [o for o in contents.operators if o.startswith(("quantized::", "quantized_decomposed::"))]
    if operators:
        signs.append(f"quantized operators: {', '.join(operators)}")
    return signs


def risks_of(contents: Contents) -> list[str]:
    """What is worth knowing before the model is run elsewhere, a sentence each."""
    if contents.kind in ("state dict", "safetensors", "pickle"):
        return []
    if contents.kind == "AOTInductor":
        return list(_compiled_for(contents))
    return [*_devices(contents), *_shapes(contents), *_chance(contents), *_control_flow(contents), *_training(contents)]


def _compiled_for(contents: Contents) -> Iterator[str]:
    facts = contents.root.attributes
    names = ("platform", "machine", "processor's instructions", "GPU's compute capability")
    if "machine" in facts:
        told = ", ".join(facts[name] for name in names if name in facts)
        yield f"compiled for {told}: a processor without these instructions cannot run it"
    if facts.get("device", "cpu") != "cpu":
        yield f"it runs on {facts['device']} only"


def _devices(contents: Contents) -> Iterator[str]:
    named = devices_of(contents)
    for device, count in named.items():
        times = "once" if count == 1 else f"{count} times"
        yield f"device {device} is written into the code {times}: tensors made there do not follow the model"
    stored = sorted({t.device for t in contents.tensors.values()} - {"cpu", ""})
    if stored:
        yield f"tensors were saved on {', '.join(stored)}: loading wants that device, or a map_location"


def _shapes(contents: Contents) -> Iterator[str]:
    if contents.kind == "pt2":
        fixed = [
            m
            for method in contents.methods
            for m in re.findall(r"(\w+): (\w+\[[\d, ]+\])", method.partition(") -> ")[0])
        ]
        if fixed:
            told = ", ".join(f"{name} is {shape}" for name, shape in fixed[:3])
            yield f"fixed input sizes: {told}: others are refused (dynamic_shapes in torch.export.export)"
        return
    found = Counter(
        f"torch.{name}(…, [{sizes}])" for text in contents.code.values() for name, sizes in _FIXED.findall(text)
    )
    for call, count in list(found.items())[:5]:
        yield f"a fixed shape: {call}{f', {count} times' if count > 1 else ''}: other input sizes may fail"
    if len(found) > 5:
        yield f"{len(found) - 5} more fixed shapes"


def _chance(contents: Contents) -> Iterator[str]:
    random = [o for o in contents.operators if o.startswith("aten::") and o[len("aten::") :] in RANDOM]
    if contents.kind == "pt2":  # it says of each whether it drops out
        random = [o for o in random if "dropout" not in o or any("train=True" in c for c in _calls(contents, o))]
    if random:
        hint = "" if contents.kind == "pt2" else " (dropout: in training mode only)"
        yield f"random operators: {', '.join(random)}: outputs differ between runs{hint}"


def _calls(contents: Contents, name: str) -> list[str]:
    """The lines of a program of torch.export that call an operator."""
    target = f"torch.ops.{name.replace('::', '.')}."
    return [line for text in contents.code.values() for line in text.splitlines() if target in line]


def _control_flow(contents: Contents) -> Iterator[str]:
    text = "\n".join(contents.code.values())
    if contents.kind == "pt2":
        parts = Counter(re.findall(r"= torch\.ops\.higher_order\.(cond|while_loop|map_impl|scan)\(", text))
        if parts:
            yield f"data decide: {', '.join(f'{name} ×{count}' for name, count in sorted(parts.items()))}"
        return
    if contents.kind not in ("TorchScript", "mobile"):
        return
    branches = len(re.findall(r"^\s+if bool\(", text, re.MULTILINE))
    loops = len(re.findall(r"^\s+while ", text, re.MULTILINE))
    if branches:
        yield f"data decide: {branches} branches on a tensor's value (a GPU waits at each; compilers stop there)"
    if loops:
        yield f"{loops} loops whose length is not known before"


def _training(contents: Contents) -> Iterator[str]:
    if contents.kind == "pt2":
        text = "\n".join(contents.code.values())
        calls = Counter(re.findall(r"torch\.ops\.(\w+\.\w+)\.\w+\([^\n]*\b(?:training|train)=True", text))
        if calls:
            told = ", ".join(f"{name.replace('.', '::')} ×{count}" for name, count in sorted(calls.items()))
            yield f"training mode: {told} (call eval() before torch.export.export)"
        return
    training = [path or "the whole" for path, m in contents.root.walk() if m.attributes.get("training") == "True"]
    if training:
        more = f" and {len(training) - 3} more modules" if len(training) > 3 else ""
        yield f"training mode: {', '.join(training[:3])}{more} (call eval() before saving)"
