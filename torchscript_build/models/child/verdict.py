"""Can a model go from TorchScript to ``torch.export``? What holds it back, where, and what it would gain or lose."""

import copy
import os
import re
import statistics
import time
from typing import Any, Optional

from . import aoti, complaints, export, inputs, process, sizes, values

CALLS = 20
"""Timed calls of each form."""


def judge(torch: Any, job: "dict[str, Any]", progress: Any) -> "dict[str, Any]":
    """Try to export a model, with fixed sizes and with those that can vary; measure what came of it.

    :returns: ``blocked``: why not, or ``dynamic``: argument → dimension → least and most; ``notes``; ``measured``.
    """
    aoti.prepare(os.path.dirname(job["stem"]))
    export.load_libraries(torch, job, progress)
    original = _original(torch, job, progress)
    with progress("making the example inputs", "its example inputs cannot be made"):
        args = inputs.example_arguments(torch, job["example_inputs"], job["root"])
    with progress("running it", "Python cannot run it"):
        try:
            expected = _two_calls(torch, aoti.fresh(original), args, job)
        except Exception:
            if job["grad"] is not None:
                raise
            job = {**job, "grad": True}
            expected = _two_calls(torch, aoti.fresh(original), args, job)
    notes = _losses(torch, original, args, job)
    try:
        program = aoti.program_of(torch, aoti.fresh(original), args, None)
        found = _two_calls(torch, program.module(), args, job)
    except Exception as error:  # noqa: BLE001 - whatever stops torch.export is the answer
        return {"blocked": blocked_by(torch, error, original, job["root"]), "notes": notes}
    if getattr(program.graph_signature, "buffers_to_mutate", None):
        notes.append("it keeps state between calls, which a package does, too, for each program that loads it")
    blocked = _another_answer(torch, found, expected) or _other_inputs(torch, original, program, args, job)
    if aoti.gives_text(program):
        words = "its outputs have text among them, which AOTInductor does not give"
        blocked = {"kind": "outputs", "words": words, "cure": "return numbers, and leave their names to the caller"}
    if blocked:
        return {"blocked": blocked, "notes": notes}
    wide = _widened(torch, original, args, job)
    dynamic, why_fixed = sizes.dynamic_sizes(torch, original, wide)
    if wide is not args and dynamic:
        notes.append("the example has size 1 where others work: give example-inputs with 2 or more")
    report = {"dynamic": dynamic, "why_fixed": why_fixed, "notes": notes}
    if job["compile"]:
        report["measured"] = _measured(torch, original, wide if dynamic else args, dynamic, job, progress)
    return report


def _original(torch: Any, job: "dict[str, Any]", progress: Any) -> Any:
    if job["factory"]:
        return export.make_original(torch, job, progress)[0]
    with progress("loading the model", f"Python cannot load {job['model']}"):
        return torch.jit.load(job["model"], map_location="cpu").eval()


def _run(torch: Any, function: Any, args: Any, job: "dict[str, Any]") -> Any:
    process.seed(torch, job["seed"])
    with torch.enable_grad() if job["grad"] else torch.no_grad():
        return values.plain(torch, function(*copy.deepcopy(args)))  # a model may write into its inputs


def _two_calls(torch: Any, function: Any, args: Any, job: "dict[str, Any]") -> "list[Any]":
    """The outputs of a call, and of the next, which shows what the first has left behind."""
    return [_run(torch, function, args, job) for _ in range(2)]


def _losses(torch: Any, original: Any, args: Any, job: "dict[str, Any]") -> "list[str]":
    """What TorchScript carries and a package does not."""
    notes = []
    if isinstance(original, torch.jit.ScriptModule):
        methods = original._c._method_names()
    else:
        kept = getattr(torch.jit, "FunctionModifiers", None) or getattr(torch._jit_internal, "FunctionModifiers", None)
        wanted = getattr(kept, "EXPORT", object())
        members = [pair for kind in type(original).__mro__ for pair in vars(kind).items()]
        methods = {name for name, made in members if getattr(made, "_torchscript_modifier", None) == wanted}
    methods = sorted(n for n in methods if n != "forward" and not n.startswith("__"))
    if methods:
        notes.append(f"a package has forward only; left behind: {', '.join(methods)}")
    others = [m for m in job["methods"] if m not in ("forward", *methods)]
    if others:
        notes.append(f"a package has forward only, and apps call {', '.join(others)}")
    names = aoti.names_of(original, len(args))
    fixed = [f"{n} = {a!r}" for n, a in zip(names, args) if isinstance(a, (bool, int, float, str))]
    if fixed:
        notes.append(f"compiled in, since they are no tensors: {', '.join(fixed)}")
    if job["grad"]:
        notes.append("it uses autograd, which a package does not")
    return notes


def blocked_by(torch: Any, error: BaseException, original: Any, root: str) -> "dict[str, Any]":
    """Why ``torch.export`` gave up: what kind of thing it is, a sentence, the place, what to write."""
    text = f"{type(error).__name__}: {error}"
    where = place_of(torch, error, root)
    operator = aoti.missing_fake_kernel(torch, error)
    if operator is not None:
        words = f"the operator {operator} has no fake kernel, which says what it returns without computing it"
        return {"kind": "fake kernel", "words": words, "where": where, "write": aoti.fake_kernel_of(torch, operator)}
    if re.search(r"data-dependent|DataDependent|UserError: Consider annotating|Could not guard", text):
        cure = "torch.where or torch.cond in the place of the branch, or torch._check for a size"
        words = "a branch, loop or size depends on values of tensors"
        return {"kind": "data-dependent", "words": words, "where": where, "cure": cure}
    if "autograd" in text or "does not require grad" in text or "element 0 of tensors" in text:
        words = "it computes gradients itself, for which torch.export records nothing"
        return {"kind": "autograd", "words": words, "where": where, "cure": "keep the TorchScript model for it"}
    if ".numpy()" in text:
        words = "it computes with numpy, of which torch.export records nothing"
        return {"kind": "numpy", "words": words, "where": where, "cure": "the same with torch's own functions"}
    packed = re.search(r"__torch__\.(torch\.classes\.[\w.]+)", text)
    if packed is not None:
        words = f"it holds an object of {packed[1]}, which torch.export does not record"
        is_quantized = ".quantized." in packed[1] or ".rnn." in packed[1]
        cure = "export the model before it is quantized, with torchao or quantize_pt2e, or keep the TorchScript model"
        return {"kind": "object", "words": words, "where": where, **({"cure": cure} if is_quantized else {})}
    first = complaints._essence(str(error).splitlines() or [""])
    return {"kind": "other", "words": f"{type(error).__name__}: {first}", "where": where}


def place_of(torch: Any, error: BaseException, root: str) -> Optional[str]:
    """The line of the user's code that an error is about: by the traceback, or by what torch says of it."""
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None and len(chain) < 10:
        chain.append(chain[-1].__cause__)
    for one in reversed(chain):
        found = complaints.locate(one.__traceback__, torch, root)
        if found is not None:
            return found
    for file, line in reversed(re.findall(r'File "([^"]+)", line (\d+)', str(error))):
        if complaints.is_users(file, torch):
            return f"{complaints.relative(file, root)}:{line}"
    return None


def _widened(torch: Any, original: Any, args: Any, job: "dict[str, Any]") -> Any:
    """The example with two elements in the place of one along the first dimension, where the model takes that."""
    tensors = [a for a in args if isinstance(a, torch.Tensor)]
    if not tensors or not all(a.dim() > 0 and a.shape[0] == 1 for a in tensors):
        return args
    wide = tuple(torch.cat([a, a]) if isinstance(a, torch.Tensor) else a for a in args)
    try:
        _run(torch, aoti.fresh(original), wide, job)
    except Exception:  # noqa: BLE001 - it does not take two; the example stays
        return args
    return wide


def _measured(
    torch: Any, original: Any, args: Any, dynamic: Any, job: "dict[str, Any]", progress: Any
) -> "dict[str, Any]":
    """Parity, size, latency and build time of each form."""
    expected = _run(torch, aoti.fresh(original), args, job)
    found: dict[str, dict[str, Any]] = {"eager": {"latency": latency(torch, aoti.fresh(original), args, job)}}
    for name, make in (("TorchScript", _script), (".pt2", _package)):
        started = time.perf_counter()
        try:
            with progress(f"making the {name} form", f"{name} cannot be made"):
                function, file = make(torch, original, args, dynamic, job)
            seconds = time.perf_counter() - started
            with progress(f"running the {name} form", f"{name} cannot be run"):
                outputs = _run(torch, function, args, job)
                found[name] = {
                    "build": seconds,
                    "size": os.path.getsize(file),
                    "difference": values.compare(torch, outputs, expected, job["rtol"], job["atol"]).largest,
                    "problem": _first_difference(torch, outputs, expected),
                    "latency": latency(torch, function, args, job),
                }
        except complaints.Failed as failure:
            found[name] = {"error": complaints.sentence(failure, torch, job["root"])}
    return found


def _script(torch: Any, original: Any, args: Any, _dynamic: Any, job: "dict[str, Any]") -> "tuple[Any, str]":
    file = job["stem"] + ".migrate.pt"
    if aoti.is_scripted(torch, original):
        made = original
    elif job["method"] == "trace":
        made = export.trace(torch, original, args, job["grad"], check=False)[1]
    else:
        made = torch.jit.script(original)
    torch.jit.save(made, file)
    return torch.jit.load(file, map_location="cpu").eval(), file


def _package(torch: Any, original: Any, args: Any, dynamic: Any, job: "dict[str, Any]") -> "tuple[Any, str]":
    file, wanted = job["stem"] + ".migrate.pt2", sizes.setting_of(dynamic)
    program = aoti.program_of(torch, aoti.fresh(original), args, aoti.dynamic_shapes_of(torch, original, args, wanted))
    about = {"names": aoti.names_of(original, len(args)), "symbols": wanted}
    aoti.compile_package(torch, program, file, about, "native")
    return aoti.load_package(torch, file), file


def latency(torch: Any, function: Any, args: Any, job: "dict[str, Any]") -> float:
    """The middle of some calls, in milliseconds."""
    times = []
    with torch.enable_grad() if job["grad"] else torch.no_grad():
        for number in range(CALLS + 3):
            started = time.perf_counter()
            function(*args)
            if number >= 3:
                times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def _first_difference(torch: Any, left: Any, right: Any) -> str:
    """Where two outputs differ beyond rounding."""
    found = values.compare(torch, values.plain(torch, left), right, 1e-3, 1e-4)
    return f"{found.place}: {found.words}" if found.place else ""


def _other_inputs(
    torch: Any, original: Any, program: Any, args: Any, job: "dict[str, Any]"
) -> "Optional[dict[str, Any]]":
    """Whether it differs on the negative of the example, which may take another branch; the model must know that."""
    if getattr(program.graph_signature, "buffers_to_mutate", None):
        return None  # the calls before this one have left something behind
    turned = tuple(-a if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args)
    try:
        expected = _run(torch, aoti.fresh(original), turned, job)
    except Exception:  # noqa: BLE001 - it does not take that
        return None
    try:
        problem = _first_difference(torch, _run(torch, program.module(), turned, job), expected)
    except Exception as error:  # noqa: BLE001 - whatever it raises, the model does not
        problem = complaints._essence(str(error).splitlines() or [type(error).__name__])
    if not problem:
        return None
    words = f"what torch.export records keeps the branch that its example takes: it differs on other inputs ({problem})"
    return {"kind": "another answer", "words": words}


def _another_answer(torch: Any, found: "list[Any]", expected: "list[Any]") -> "Optional[dict[str, Any]]":
    """Whether what was recorded gives other outputs than the model, in the first call or in the second."""
    first, second = (_first_difference(torch, one, other) for one, other in zip(found, expected))
    if first:
        words = f"what torch.export records gives another answer on the same inputs ({first})"
        return {"kind": "another answer", "words": words}
    if second:
        words = f"it keeps state that is no buffer, which torch.export compiles in: its second call differs ({second})"
        return {
            "kind": "state",
            "words": words,
            "cure": "self.register_buffer(…), and write into it: self.count.add_(1)",
        }
    return None
