from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.server.auth.parties import Office, office


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One office for the tests of a file: each uses clients of its own, and the clock only moves forward."""
    with office(tmp_path_factory.mktemp("office")) as made:
        yield made
