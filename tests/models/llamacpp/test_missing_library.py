"""A llama.cpp that is here and lacks what it stands on says what to install."""

from pathlib import Path

import pytest

from agenthost.core.errors import Unavailable
from agenthost.models.llamacpp.backend import Backend, about

MISSING = "libgomp.so.1: cannot open shared object file: No such file or directory"


async def test_without_the_openmp_library_the_fix_names_it(tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text(f"raise ImportError({MISSING!r})\n")
    with pytest.raises(Unavailable) as caught:
        await about(Backend("xllamacpp"), {"PYTHONPATH": str(tmp_path)})
    assert MISSING in caught.value.message
    assert "apt-get install libgomp1" in caught.value.message
    assert "PATH" not in caught.value.message
