import pytest

from .models import RULES


@pytest.fixture(params=RULES.values(), ids=RULES)
def rule(request):
    return request.param
