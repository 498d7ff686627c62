"""One run of ``torchscript-build migrate``: libraries that factories need are built, models judged."""

from __future__ import annotations

from collections.abc import Sequence

from torchscript_build.build.pipeline import build_lock
from torchscript_build.models.export import prepare_models
from torchscript_build.models.external import external_files
from torchscript_build.models.migrate import Verdict, chosen, judge_models
from torchscript_build.packaging.make_ops import build_ops
from torchscript_build.packaging.session import Session


def judge_project(session: Session, names: Sequence[str], *, measure: bool) -> list[Verdict]:
    """The verdicts on the project's models.

    :param names: the models to judge; empty: all.
    :raises TorchScriptBuildError: there is no torch, no such model, or a library cannot be built.
    """
    plan, environment = session.plan, session.environment
    models = chosen(plan.models, names)
    if session.spec.ops:
        build_ops(session)
    with build_lock(plan):
        external = external_files(plan.apps, environment)
        files = [m.name for m in models if m.factory is None]
        prepare_models(plan, environment, names=files, libraries={})
        using = {m.name: [a for a in plan.apps if m.name in {b.name for b in a.models}] for m in models}
        own = [str(plan.out_dir / o.path) for o in plan.ops]
        return judge_models(
            plan,
            environment,
            models,
            methods={name: sorted({a.method for a in apps}) for name, apps in using.items()},
            libraries={
                name: list(dict.fromkeys([*(f for a in apps for f in external[a.name]), *own]))
                for name, apps in using.items()
            },
            measure=measure,
        )
