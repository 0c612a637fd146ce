"""Type aliases for NumPy arrays."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = np.ndarray[Any, Any]  # any shape and dtype: docstrings give both
Bytes: TypeAlias = NDArray[np.uint8]
