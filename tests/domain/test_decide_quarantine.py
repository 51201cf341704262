"""Is an object that fails our own checks set aside?"""

from cases import DAY_MS, NOW, REVERSAL_ID, accepted, snapshot

from contraflow.domain.cases import CaseKind
from contraflow.domain.commands import Quarantine
from contraflow.domain.decide.quarantine import decide_quarantine
from contraflow.domain.decision import Accepted
from contraflow.domain.events import CaseOpened

QUARANTINE = Quarantine(object_id=REVERSAL_ID, detail="I9: 3 is not 4")


def test_it_opens_a_case_that_is_the_flag() -> None:
    decision = accepted(decide_quarantine(snapshot(), QUARANTINE))

    [case] = decision.cases
    assert decision.events == (CaseOpened(case),)
    assert (case.kind, case.object_id) == (CaseKind.QUARANTINED, REVERSAL_ID)
    assert case.detail == "I9: 3 is not 4"
    assert case.closed_at is None
    assert case.deadline_at == NOW + 3 * DAY_MS


def test_an_object_is_set_aside_once() -> None:
    state = snapshot(quarantined=[REVERSAL_ID])

    assert decide_quarantine(state, QUARANTINE) == Accepted()


def test_an_object_that_fails_again_later_is_another_case() -> None:
    first, second = (
        accepted(decide_quarantine(snapshot(now=now), QUARANTINE)) for now in (NOW, NOW + 1)
    )

    assert first.cases[0].case_id != second.cases[0].case_id
