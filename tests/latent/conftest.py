import pytest

from .models import STAGES


@pytest.fixture(params=STAGES)
def stage(request):
    return STAGES[request.param]()
