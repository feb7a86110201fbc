from pathlib import Path

import pytest

from tests.product.product import Product


@pytest.fixture
def product(tmp_path: Path) -> Product:
    """The product, with an empty home."""
    return Product(tmp_path)
