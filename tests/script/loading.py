"""Scripts as modules: they have no ending that Python knows."""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[2] / "script"


def load(name: str) -> ModuleType:
    """``script/NAME``, which may import what lies beside it."""
    if str(SCRIPT) not in sys.path:
        sys.path.insert(0, str(SCRIPT))
    loader = SourceFileLoader(name.replace("-", "_"), str(SCRIPT / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module
