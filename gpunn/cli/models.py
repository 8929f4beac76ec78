"""gpunn models."""

from __future__ import annotations

import json

from gpunn.cli.options import JsonOption


def models(as_json: JsonOption = False) -> None:
    """List the networks that come with gpunn.

    Example:

    gpunn models
    """
    from gpunn.cli.table import table
    from gpunn.graph import describe_shape
    from gpunn.models import MODELS

    built = [(model, model.build(model.image, model.classes)) for model in MODELS.values()]
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "model": model.name,
                        "input": list(model.image),
                        "classes": model.classes,
                        "parameters": network.parameter_count,
                        "flops": network.flops,
                        "description": model.description,
                    }
                    for model, network in built
                ]
            )
        )
        return
    rows = [
        (
            model.name,
            describe_shape(model.image),
            f"{network.parameter_count:,}",
            f"{network.flops / 1e9:.3f}",
            model.description,
        )
        for model, network in built
    ]
    print(table(("model", "input", "parameters", "GFLOPs", "what it is"), rows, numbers=(2, 3)))
