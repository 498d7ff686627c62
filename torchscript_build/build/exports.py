"""What torch says of a model that it cannot script, trace or export, as data: cause and cure.

Each of them has a real text in ``tests/build/exports.txt``.
"""

from __future__ import annotations

from torchscript_build.build.failures import Failure

_TRACE = 'method = "trace"'

EXPORTS: tuple[Failure, ...] = (
    Failure(
        "no such attribute for TorchScript",
        r"^(?:Module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'"
        r"|attribute '(?P<old>\w+)' (?:does not exist|of type '[^'\n]+' is not usable)"
        r"|Tried to access nonexistent attribute or method '(?P<type>\w+)')",
        "TorchScript sees only attributes whose type it can tell: {name}{old}{type} is none, is set outside of "
        "__init__, or is a property or an object of Python's",
        "set it in __init__ to a tensor, number, list or module; annotate it (x: List[int]); or say " + _TRACE,
        "torch/jit/_recursive.py; #20495 #55312 #98064",
    ),
    Failure(
        "Python objects in TorchScript",
        r"(?:attribute lookup is not defined on|cannot call a value|Python (?:builtin|function) .* is currently not "
        r"supported|python value of type '(?P<name>[^'\n]+)' cannot be used as a value"
        r"|cannot create weak reference to 'numpy)",
        "the code calls an object or a function of Python that TorchScript does not know, as those of numpy",
        "use torch's functions, or keep the call out of forward (@torch.jit.ignore, @torch.jit.unused); or say "
        + _TRACE,
        "torch/csrc/jit/python/python_sugared_value.cpp; #36910",
    ),
    Failure(
        "two types for a name",
        r"^(?:Type mismatch: (?P<name>\w+) is set to type"
        r"|Variable '(?P<other>\w+)' (?:previously had type|is annotated))",
        "a variable of TorchScript has one type, and {name}{other} gets two of them in two branches",
        "give the second value another name, or the same type; annotate it with Optional[…] or Union[…]",
        "torch/csrc/jit/frontend/ir_emitter.cpp",
    ),
    Failure(
        "not defined in each branch",
        r"^(?P<name>\w+) is not defined in the (?:true|false) branch",
        "{name} gets its value in one branch of an if only",
        "give it a value before the if",
        "torch/csrc/jit/frontend/ir_emitter.cpp",
    ),
    Failure(
        "Optional in TorchScript",
        r"'Optional\[[^'\n]+\]' object has no attribute or method '(?P<name>\w+)'",
        "the value may be None, and {name} is asked of it without a check that TorchScript understands",
        "assert x is not None, or if x is not None: …, right before it",
        "torch/csrc/jit/frontend/ir_emitter.cpp",
    ),
    Failure(
        "no such method in TorchScript",
        r"'(?P<type>[^'\n]+)' object has no attribute or method '(?P<name>\w+)'",
        "TorchScript's {type} has no {name}: it knows a part of Python's methods only, and no super()",
        "write it with torch's functions, or say " + _TRACE,
        "torch/csrc/jit/python/python_sugared_value.cpp",
    ),
    Failure(
        "a container without a type",
        r"Attempted to use (?P<name>\w+) without a contained type",
        "the annotation says {name}, and not of what",
        "write it whole: {name}[torch.Tensor]",
        "torch/jit/annotations.py",
    ),
    Failure(
        "an index that is no literal",
        r"Expected integer literal for index",
        "a ModuleList or a tuple is indexed by a variable, and its elements have a type each",
        "iterate over it (for i, layer in enumerate(self.layers)), or declare an interface with @torch.jit.interface",
        "torch/csrc/jit/python/python_sugared_value.cpp; #47496",
    ),
    Failure(
        "wrong arguments for TorchScript",
        r"^Arguments for call are not valid",
        "an operator or function is called with types that none of its schemas has; without an annotation an argument "
        "is a Tensor",
        "annotate the arguments of forward and of what it calls: def forward(self, xs: List[torch.Tensor])",
        "torch/csrc/jit/frontend/schema_matching.cpp",
    ),
    Failure(
        "return type",
        r"Return value was annotated as having type (?P<wanted>[^\n]+?) but is actually of type (?P<found>[^\n]+?):?$",
        "a function promises {wanted} and returns {found}",
        "correct the annotation, or what is returned",
        "torch/csrc/jit/frontend/ir_emitter.cpp",
    ),
    Failure(
        "no source to script",
        r"Can't get source for|Expected a single top-level function|could not get source code",
        "torch.jit.script compiles a function's source, and there is no file with it: it was typed, or made by exec or "
        "a decorator",
        "write the model into a module, or say " + _TRACE,
        "torch/_sources.py",
    ),
    Failure(
        "tracing fixed a branch",
        r"TracerWarning: (?:Converting a tensor to a Python|Iterating over a tensor|torch\.\w+ results are registered)",
        "tracing wrote down what the example inputs did: this value is a constant for all others",
        'say method = "script" where the model branches on its inputs; check-inputs of another shape show whether it '
        "matters",
        "torch/jit/_trace.py; #22485",
    ),
    Failure(
        "two traces differ",
        r"Tracing failed sanity checks|Graphs differed across invocations",
        "tracing the model twice gave two programs: it keeps a state, or draws random numbers",
        'call eval(), keep dropout and caches out of what is traced, or say method = "script"',
        "torch/jit/_trace.py; gpytorch#1803, #33692",
    ),
    Failure(
        "outputs that tracing cannot have",
        r"can be output from traced functions|The traced function didn't return any values"
        r"|Tracer cannot infer type of (?P<name>[\w.]+)|are supported as inputs or "
        r"outputs of traced functions",
        "a traced model returns tensors, and tuples, lists and dicts of them; this one returns something else",
        "return a tuple or a dict of tensors (transformers: torchscript=True or return_dict=False), in a small module "
        "around the model",
        "torch/csrc/jit/frontend/tracer.cpp; nni#5655, CenterNet#1035",
    ),
    Failure(
        "a dict from a trace",
        r"Encountering a (?:dict|list) at the output of the tracer",
        "tracing wants to be told that the outputs have the same names each time",
        "return a NamedTuple or a tuple, or trace with strict=False",
        "torch/csrc/jit/frontend/tracer.cpp",
    ),
    Failure(
        "a parameter inside of a trace",
        r"Cannot insert a Tensor that requires grad as a constant",
        "the traced code makes or captures a tensor that requires grad, and is no parameter of the model",
        "register it in __init__ (nn.Parameter or register_buffer), or detach() it",
        "torch/csrc/jit/frontend/tracer.cpp",
    ),
    Failure(
        "torch.export and a branch",
        r"(?:GuardOnDataDependentSymNode: |UserError: |UserErrorType\W+)?(?:Could not (?:guard on|extract specialized "
        r"integer from) data-dependent expression|Dynamic control flow is not supported|Data-dependent branching)",
        "torch.export follows one path, and the model chooses its path by what the tensors hold",
        "write the choice with torch.where or torch.cond, say torch._check(…) what is always true, or stay with "
        'method = "script"',
        "torch/fx/experimental/symbolic_shapes.py",
    ),
    Failure(
        "a size that is not free",
        r"Constraints violated \((?P<name>[^)\n]*)\)",
        "a dimension was said to be free ({name}), and the model needs one certain size, or another relation",
        "torchscript-build migrate tries which dimensions are free; the message names what the model needs",
        "torch/_dynamo/exc.py",
    ),
)
"""The more special ones stand first."""
