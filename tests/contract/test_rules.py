"""Every file in risk/rules/ keeps the promises of risk/rules/__init__.py."""

import pkgutil

import pytest
from msgspec.structs import replace

from contraflow import catalog
from contraflow.domain.commands import RequestRefund
from contraflow.domain.decision import Verdict
from contraflow.domain.money import Money
from contraflow.domain.policy import Policy
from contraflow.domain.snapshot import Snapshot
from contraflow.risk import rules
from contraflow.risk.assess import assess
from contraflow.risk.rules import Rule

NAMES = [module.name for module in pkgutil.iter_modules(rules.__path__)]
REFUND = RequestRefund(
    key="shop/k", fingerprint=bytes(32), payment_id="shop/p", amount=Money(1, "CNY")
)
EMPTY = Snapshot(
    now=0,
    policy=Policy(terms={}),
    payments={},
    instructions={},
    numbers={},
    facts={},
    cases={},
    holds=(),
    quarantined=(),
)


@pytest.fixture(params=NAMES)
def rule(request: pytest.FixtureRequest) -> Rule:
    found: Rule = catalog.load("contraflow.risk.rules", request.param, "RULE")
    assert found.name == request.param
    return found


def test_what_it_does_not_know_is_for_the_rules_to_refuse(rule: Rule) -> None:
    assert rule.rejects(REFUND, EMPTY) is False
    assert assess([rule], REFUND, EMPTY) == Verdict()


def test_it_has_no_memory(rule: Rule) -> None:
    answers = {rule.rejects(replace(REFUND, key=f"shop/{n}"), EMPTY) for n in range(20)}

    assert len(answers) == 1
