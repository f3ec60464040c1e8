"""The site's signatures: a default that is a constant of the core is shown as its number."""

from __future__ import annotations

import pkgutil

from griffe import ExprName, Extension, Function


class Defaults(Extension):
    """Replace `LR` by 0.1 in every signature, and so on."""

    def on_function(self, *, func: Function, **_: object) -> None:
        """Change the defaults of a function, once its package is loaded."""
        for parameter in func.parameters:
            default = parameter.default
            if isinstance(default, ExprName) and default.canonical_path.startswith("indian_core."):
                value = pkgutil.resolve_name(default.canonical_path)
                if value is None or isinstance(value, float):
                    parameter.default = repr(value)
